"""What only Windows does with layers: processing, scratch layers, ImportLayer and ExportLayer."""
