"""Memory for band after band, used again once an encoder has let go of it.

Pages that a process touches for the first time are cleared by the kernel, which takes longer than to fill
them (16384² in float32: 2.5 of 3.1 processor seconds). Encoders hold a band, or parts of it, for as long as
their threads need them; so what is free is asked of the references, not of the encoders.
"""

import math
import weakref

import numpy as np

from luxscaler.picture import FloatArray


class ReusedMemory:
    """Arrays whose memory later ones get. Safe to use from several threads."""

    def __init__(self) -> None:
        self._free: list[FloatArray] = []

    def empty(self, shape: tuple[int, ...]) -> FloatArray:
        """A float32 array with any content, whose memory is nobody's else while it or a view of it is there.

        Memory of another size than the last one's is let go of.
        """
        size = math.prod(shape)
        memory = self._taken(size)
        # Views of an array over a memoryview name that array as their base, and so keep it alive.
        array = np.frombuffer(memory.data, np.float32)
        weakref.finalize(array, self._free.append, memory)
        return array.reshape(shape)

    def _taken(self, size: int) -> FloatArray:
        while self._free:
            try:
                memory = self._free.pop()
            except IndexError:  # another thread was faster
                break
            if memory.size == size:
                return memory
        return np.empty(size, np.float32)
