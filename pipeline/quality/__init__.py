"""How good a restoration is."""
