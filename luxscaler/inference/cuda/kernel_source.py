"""The kernels as one source text, and the tiles in which the convolution is compiled.

Each `Tile` becomes one kernel of its name. All of the same outputs and shift give results that are equal to
the bit; which is fastest depends on the card and the picture (autotune.py). This module compiles nothing.
"""

from ctypes import sizeof
from dataclasses import dataclass
from pathlib import Path

from luxscaler.inference.cuda.abi import STRUCTURES

FOLDER = Path(__file__).parent
PLANE = 32
"""Channels of a plane."""
CHUNK = 16
"""Channels that the convolution holds in shared memory at once."""
_PIXEL_BYTES = 2 * CHUNK


@dataclass(frozen=True)
class Tile:
    """What one block makes, and with how many threads: the arguments of `Tile` in convolution.cuh."""

    name: str
    outputs: int
    """Channels: 32 or 64."""
    down: int
    """Warps side by side in a column."""
    across: int
    """Warps side by side in a row, 16 pixels each."""
    rows: int
    """Rows of pixels that a warp makes: 4 or 8."""
    blocks: int
    """Blocks that a multiprocessor shall hold at once, which limits the registers of a thread."""
    shift: int = 0
    """1: the input is seen enlarged twice."""
    stages: int = 2
    """Chunks in shared memory."""

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.down * self.across * self.outputs

    @property
    def height(self) -> int:
        """Rows of the result."""
        return self.down * self.rows

    @property
    def width(self) -> int:
        """Columns of the result."""
        return self.across * 16

    @property
    def shared(self) -> int:
        """Bytes of shared memory of a block."""
        patch = ((self.height >> self.shift) + 2) * ((self.width >> self.shift) + 2) * _PIXEL_BYTES
        return self.stages * (patch + 9 * CHUNK * self.outputs * 2)

    @property
    def declaration(self) -> str:
        """The line that makes the kernel."""
        shape = (self.outputs, self.down, self.across, self.rows, self.stages, self.shift)
        numbers = ", ".join(str(number) for number in (self.threads, self.shared, self.blocks, *shape))
        return f"CONVOLUTION({self.name}, {numbers})"


TILES = (
    Tile("narrow_16x32", outputs=32, down=4, across=2, rows=4, blocks=2),
    Tile("narrow_16x16", outputs=32, down=4, across=1, rows=4, blocks=3),
    Tile("narrow_32x32", outputs=32, down=8, across=2, rows=4, blocks=1),
    Tile("narrow_16x32_tall", outputs=32, down=2, across=2, rows=8, blocks=2),
    Tile("wide_16x16", outputs=64, down=4, across=1, rows=4, blocks=2),
    Tile("wide_16x32", outputs=64, down=2, across=2, rows=8, blocks=1),
    Tile("wide_8x16", outputs=64, down=2, across=1, rows=4, blocks=2),
    Tile("double_16x16", outputs=64, down=4, across=1, rows=4, blocks=2, shift=1),
    Tile("double_16x32", outputs=64, down=2, across=2, rows=8, blocks=1, shift=1),
)
"""Names: kind, rows × columns of pixels. The first that suits is the default. Warps of 8 rows read a third
less of shared memory for a product, and take so many registers that there are half as many."""
FIRST_ROWS, FIRST_COLUMNS, FIRST_THREADS = 4, 32, 256
LAST_ROWS, LAST_COLUMNS, LAST_THREADS, LAST_SHARED = 16, 32, 128, 42624
"""Tiles of the first and the last convolution (ends.cuh)."""


def candidates(outputs: int, shift: int) -> tuple[Tile, ...]:
    """The tiles that can make this, the default first."""
    return tuple(tile for tile in TILES if (tile.outputs, tile.shift) == (outputs, shift))


def body() -> str:
    """Everything but ptx.cuh: what runs on whatever machine stands before it."""
    texts = [(FOLDER / name).read_text(encoding="utf-8") for name in ("convolution.cuh", "ends.cuh")]
    texts += [f"static_assert(2 * LAST_STAGE == {LAST_SHARED});"]
    texts += [
        f'static_assert(sizeof({name}) == {sizeof(job)}, "abi.py");' for name, job in STRUCTURES.items()
    ]
    return "\n".join([*texts, *(tile.declaration for tile in TILES)]) + "\n"


def source() -> str:
    """The program for a card."""
    return (FOLDER / "ptx.cuh").read_text(encoding="utf-8") + body()
