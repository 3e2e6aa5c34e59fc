"""The messages between the caller and the decoding process, sent over a socket.

A request is one packet of JSON (DecodeTask), with two files beside it: the picture and the empty result. Once
the decoder knows from the header how much memory the picture needs, it asks for that in a packet of its own
and goes on when the caller answers GRANTED. The last packet is JSON that says how the decoder ended; what it
decoded is in the result file (result.py).
"""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from luxscaler.options import MAIN_LAYER, DecodeLimits, LayerChoice

MAX_PACKET = 1 << 16
"""Bytes of the longest packet."""
GRANTED = b"go"


@dataclass(frozen=True)
class DecodeTask:
    """A request to decode one picture."""

    name: str
    """The picture's name in error messages."""
    max_pixels: int
    limits: DecodeLimits
    wanted: Literal["picture", "bands", "header"] = "picture"
    """picture: all pixels at once, into a memory file. bands: into a file on disk, band by band
    (linear_file.py). header: no pixels."""
    sdr: bool = False
    """Whether the SDR picture of a file with a gain map is wanted, not the HDR one."""
    choice: LayerChoice = MAIN_LAYER
    """Which layer of an EXR is wanted."""

    def to_packet(self) -> bytes:
        """The task as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_packet(cls, packet: bytes) -> "DecodeTask":
        """The task in the JSON that `to_packet` made."""
        values = json.loads(packet)
        limits, choice = DecodeLimits(**values["limits"]), LayerChoice(**values["choice"])
        return cls(**{**values, "limits": limits, "choice": choice})
