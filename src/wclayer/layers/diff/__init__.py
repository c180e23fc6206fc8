"""Two stacks of layers compared, by entry and field."""
