"""What can be chosen about a run, as frozen values that check themselves. No PyTorch."""

from dataclasses import dataclass, replace

from luxscaler.checks import check_fields, check_type
from luxscaler.errors import InputError

MIN_FRACTALITY, MAX_FRACTALITY = 0.0, 2.0
MIN_BOOST, MAX_BOOST = 1.0, 49.0
"""49 × 203 cd/m² is just under 10,000 cd/m², the top of SMPTE ST 2084."""
DEFAULT_MAX_PIXELS = 150_000_000
"""Largest picture read unless the caller says otherwise: 150 megapixels, 1.8 GB as float32 RGB."""
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
_DECODED_PIXELS_PER_SECOND = 2e6
"""A decoder gets a second more for so many pixels; decoders were measured at 9 to 14 million a second."""
MAX_LAYER_NAME = 255
"""Characters of a layer's name: what OpenEXR lets a name have."""
DEFAULT_OVERLAP = 128
"""Source pixels: near seams above 55 dB to the untiled pass on every picture tried (docs/experiments.md)."""


def check_fractality(fractality: float) -> None:
    """Raise InputError unless `fractality` is a number from 0 to 2."""
    check_type("fractality", fractality, float)
    if not MIN_FRACTALITY <= fractality <= MAX_FRACTALITY:  # also catches NaN
        raise InputError(f"fractality is {fractality}; it must be from {MIN_FRACTALITY} to {MAX_FRACTALITY}")


def check_boost(boost: float) -> None:
    """Raise InputError unless `boost` is a number from 1 to 49."""
    check_type("hdr_boost", boost, float)
    if not MIN_BOOST <= boost <= MAX_BOOST:  # also catches NaN
        raise InputError(f"hdr_boost is {boost}; it must be from {MIN_BOOST} to {MAX_BOOST} (10,000 cd/m²)")


@dataclass(frozen=True)
class LayerChoice:
    """Which picture of an OpenEXR file is read. Raises InputError for values that no file has."""

    layer: str = ""
    """Name of a layer, or of a part in files of several, or of a single channel, which is read as grey;
    empty: the main one."""
    part: int | None = None
    """Number of the part, from 1; None: the first with the layer."""

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.layer) > MAX_LAYER_NAME:
            raise InputError(
                f"layer has {len(self.layer)} characters; EXR's names have at most {MAX_LAYER_NAME}"
            )
        if self.part is not None and self.part < 1:
            raise InputError(f"part is {self.part}; it must be at least 1")

    def __bool__(self) -> bool:
        return self != LayerChoice()


MAIN_LAYER = LayerChoice()


@dataclass(frozen=True)
class DecodeLimits:
    """What decoding one picture may take. Raises InputError for a limit that is not above 0 and finite."""

    seconds: float = 60.0
    """Wall-clock time."""
    memory_bytes: int = 10 * 2**30
    """Memory at most. Small pictures get less: 512 MiB and 96 bytes for each pixel of their header."""
    total_memory_bytes: int | None = None
    """Memory of all decodes of this process together; further ones wait. None: three quarters of what the
    machine or the container has."""
    pixels_per_byte: float = 1000.0
    """Pixels that a byte of the file may stand for, beyond the first 33.5 million of them: no photograph, and
    few drawings, pack tighter; a kilobyte can claim gigapixels."""
    scans: int = 100
    """Passes of a JPEG over its pixels; encoders make about ten."""

    def __post_init__(self) -> None:
        check_fields(self)
        numbers = {
            "seconds": self.seconds,
            "memory_bytes": self.memory_bytes,
            "total_memory_bytes": 1 if self.total_memory_bytes is None else self.total_memory_bytes,
            "pixels_per_byte": self.pixels_per_byte,
            "scans": self.scans,
        }
        for name, value in numbers.items():
            if not 0 < value < float("inf"):
                raise InputError(f"decode limits must be above 0 and finite, got {name} {value}")

    def for_pixels(self, pixels: int) -> "DecodeLimits":
        """The limits with more seconds, in proportion to the pixels of a large picture."""
        return replace(self, seconds=self.seconds + pixels / _DECODED_PIXELS_PER_SECOND)


@dataclass(frozen=True)
class UpscalerOptions:
    """Where and how the network runs. Raises InputError for a value that is unknown or out of range."""

    device: str = "auto"
    """"auto" takes CUDA, then Apple's MPS, then the CPU."""
    precision: str = "auto"
    """"auto": fp16 on CUDA, fp32 elsewhere. bf16 and fp16 cost accuracy (docs/experiments.md)."""
    tile: int = 1024
    """Largest side, in source pixels, of what the network sees at once; halved when memory runs out."""
    overlap: int | None = None
    """Source pixels that neighbouring tiles share; half of it is context beyond the middle of a seam. None:
    DEFAULT_OVERLAP, or half the tile where that is less."""

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise InputError(f"device is {self.device!r}; it must be one of {', '.join(DEVICES)}")
        if self.precision not in PRECISIONS:
            raise InputError(f"precision is {self.precision!r}; it must be one of {', '.join(PRECISIONS)}")
        check_fields(self)
        if self.tile < 1:
            raise InputError(f"tile is {self.tile}; it must be at least 1")
        if not 0 <= self.shared <= self.tile // 2:
            raise InputError(
                f"overlap is {self.shared}; it must be from 0 to half the tile, {self.tile // 2}"
            )

    @property
    def shared(self) -> int:
        """The overlap that is used, in source pixels."""
        return min(DEFAULT_OVERLAP, self.tile // 2) if self.overlap is None else self.overlap
