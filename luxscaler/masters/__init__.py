"""Masters: a picture of any size cut into tiles, upscaled anywhere, put together without a seam."""
