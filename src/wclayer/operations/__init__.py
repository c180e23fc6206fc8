"""What people ask of layers and images, wherever these are: files, inspect, diff, squash, hives."""
