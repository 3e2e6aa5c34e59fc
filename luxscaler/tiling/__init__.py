"""A picture as overlapping tiles: where it is cut, what is computed from all of it, how tiles become rows."""
