"""From a picture to a larger one: network, tiles, detail, low band, registration, alpha."""
