"""The kernels as one source text, and the block shapes that the convolution is compiled for.

There are two programs: `parts`, the number of halves that store a number, is 1 for float16 and 2 for float32.
Each `BlockShape` becomes one kernel of its name. Shapes with the same outputs and shift give bit-identical
results; which one is fastest depends on the card and the picture (autotune.py).
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
LOW = 2048
"""Factor on the low half of a number: x = high + low / LOW."""
_PIXEL_BYTES = 2 * CHUNK


@dataclass(frozen=True)
class BlockShape:
    """What a block of threads computes: the template arguments of `BlockShape` in convolution.cuh."""

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
    """Blocks that a multiprocessor must be able to hold at once, which limits the registers of a thread."""
    shift: int = 0
    """1: the input is enlarged ×2 by nearest neighbour as it is read; 0: it is not."""
    stages: int = 2
    """Chunks in shared memory at a time."""

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.down * self.across * self.outputs

    @property
    def height(self) -> int:
        """Rows of the result that a block computes."""
        return self.down * self.rows

    @property
    def width(self) -> int:
        """Columns of the result that a block computes."""
        return self.across * 16

    @property
    def shared(self) -> int:
        """Bytes of shared memory of a block."""
        patch = ((self.height >> self.shift) + 2) * ((self.width >> self.shift) + 2) * _PIXEL_BYTES
        return self.stages * (patch + 9 * CHUNK * self.outputs * 2)

    @property
    def declaration(self) -> str:
        """The line of C++ that instantiates the kernel."""
        shape = (self.outputs, self.down, self.across, self.rows, self.stages, self.shift)
        numbers = ", ".join(str(number) for number in (self.threads, self.shared, self.blocks, *shape))
        return f"CONVOLUTION({self.name}, {numbers})"


BLOCK_SHAPES = (
    BlockShape("narrow_16x32", outputs=32, down=4, across=2, rows=4, blocks=2),
    BlockShape("narrow_16x16", outputs=32, down=4, across=1, rows=4, blocks=3),
    BlockShape("narrow_32x32", outputs=32, down=8, across=2, rows=4, blocks=1),
    BlockShape("narrow_16x32_tall", outputs=32, down=2, across=2, rows=8, blocks=2),
    BlockShape("wide_16x16", outputs=64, down=4, across=1, rows=4, blocks=2),
    BlockShape("wide_16x32", outputs=64, down=2, across=2, rows=8, blocks=1),
    BlockShape("wide_8x16", outputs=64, down=2, across=1, rows=4, blocks=2),
    BlockShape("double_16x16", outputs=64, down=4, across=1, rows=4, blocks=2, shift=1),
    BlockShape("double_16x32", outputs=64, down=2, across=2, rows=8, blocks=1, shift=1),
)
"""Names: kind, rows × columns of pixels. The first of each kind is the default. Warps of 8 rows read a third
less shared memory for a product, but take so many registers that half as many fit."""
FIRST_ROWS, FIRST_COLUMNS, FIRST_THREADS = 4, 32, 256
LAST_ROWS, LAST_COLUMNS, LAST_THREADS, LAST_SHARED = 16, 32, 128, 42624
"""Block shapes of the first and the last convolution (ends.cuh)."""


def candidates(outputs: int, shift: int) -> tuple[BlockShape, ...]:
    """The shapes for that many outputs and that shift, the default first."""
    return tuple(shape for shape in BLOCK_SHAPES if (shape.outputs, shape.shift) == (outputs, shift))


def body(parts: int) -> str:
    """The source without the machine's instructions, which must come before it: ptx.cuh, or an emulation."""
    texts = [f"constexpr int PARTS = {parts};"]
    texts += [(FOLDER / name).read_text(encoding="utf-8") for name in ("convolution.cuh", "ends.cuh")]
    texts += [f"static_assert(2 * LAST_STAGE == {LAST_SHARED} && LOW == {LOW});"]
    texts += [
        f'static_assert(sizeof({structure.__name__}) == {sizeof(structure)}, "abi.py");'
        for structure in STRUCTURES
    ]
    return "\n".join([*texts, *(shape.declaration for shape in BLOCK_SHAPES)]) + "\n"


def source(parts: int) -> str:
    """The whole source for a card."""
    return (FOLDER / "ptx.cuh").read_text(encoding="utf-8") + body(parts)
