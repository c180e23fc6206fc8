"""What a stack of layers shows: the rules of names in one layer, layers seen as one, and where links lead."""
