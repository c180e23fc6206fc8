"""New images from folders, recipes and Dockerfile steps: layers FROM scratch or on top of a base."""
