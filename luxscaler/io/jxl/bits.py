"""The bits of a JPEG XL header, least significant first (ISO/IEC 18181-1:2024, annex B)."""

Choices = tuple[tuple[int, int], ...]
"""What the two selector bits of a U32 choose: the number of bits to read, and what is added to them."""


class BitReader:
    """Reads from a place on. Raises ValueError where the bits end."""

    def __init__(self, data: bytes, at: int) -> None:
        """at: the first bit to read."""
        self._bits = int.from_bytes(data, "little")
        self._count = 8 * len(data)
        self.at = at

    def u(self, count: int) -> int:
        """A number of so many bits."""
        if self.at + count > self._count:
            raise ValueError("the bits of the header end")
        value = self._bits >> self.at & ((1 << count) - 1)
        self.at += count
        return value

    def flag(self) -> bool:
        """One bit."""
        return bool(self.u(1))

    def u32(self, choices: Choices) -> int:
        """A number of one of four lengths."""
        bits, offset = choices[self.u(2)]
        return self.u(bits) + offset


def u_bits(value: int, count: int) -> str:
    """A number of so many bits, as they lie in the file, the first one first."""
    return f"{value:0{count}b}"[::-1] if count else ""


def u32_bits(value: int, choices: Choices) -> str:
    """A number as the first of the four lengths that holds it; ValueError where none does."""
    for selector, (count, offset) in enumerate(choices):
        if 0 <= value - offset < 1 << count:
            return u_bits(selector, 2) + u_bits(value - offset, count)
    raise ValueError(f"{value} has no place in a header")
