"""What a layer holds, summed up: kind, contents, Windows version, framing of the tar."""
