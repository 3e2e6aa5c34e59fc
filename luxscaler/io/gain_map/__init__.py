"""HDR gain maps, read: a second, small picture that says by how much the first one is brighter."""
