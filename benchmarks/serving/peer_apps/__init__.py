"""Each peer as its own documentation would write it."""
