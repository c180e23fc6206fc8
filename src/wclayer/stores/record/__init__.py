"""The record of a layer folder, `layer.db`: what the file system under it cannot hold."""
