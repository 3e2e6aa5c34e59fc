"""Small masters and tiles for the tests of backends."""

import threading

import numpy as np

from luxscaler.backends.base import Ledger, MasterContext, Tile
from luxscaler.geometry import TileBox
from luxscaler.picture import FloatArray, Picture, PictureSource
from luxscaler.pipeline.request import TileSettings
from tests.support.memory_ledger import MemoryLedger

PHOTO = PictureSource(format="jpeg", bits=8, is_float=False)


def noise(height: int, width: int, seed: int = 0) -> FloatArray:
    """Linear light, different for each seed."""
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def a_tile(index: int = 0, attempt: int = 1, side: int = 8, scale: int = 2, tiles: int = 1) -> Tile:
    """Tile `index` of a row of `tiles`; its pixels tell it from every other."""
    box = TileBox(index / tiles, 0.0, 1 / tiles, 1.0)
    picture = Picture(noise(side, side, index), None, PHOTO)
    return Tile(index, attempt, picture, box, (scale * side, scale * side))


def a_context(
    tiles: int = 1, scale: float = 2.0, ledger: Ledger | None = None, stop: threading.Event | None = None
) -> MasterContext:
    """A master of so many tiles, with a reference."""
    return MasterContext(
        TileSettings(scale, "fast"),
        Picture(noise(4, 4 * tiles, 99), None, PHOTO),
        tiles,
        ledger or MemoryLedger(),
        stop=stop or threading.Event(),
    )


def enlarged(tile: Tile) -> FloatArray:
    """What the stand-ins make of a tile: every pixel repeated."""
    scale = tile.output_size[0] // tile.picture.height
    return tile.picture.rgb.repeat(scale, 0).repeat(scale, 1)
