"""One tile's way from bytes to a file: request, inputs, stages, output, server."""
