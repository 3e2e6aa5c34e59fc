"""Writes small ncnn models, by the layout and not with the code under test."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luxscaler.weights.ncnn import Array


@dataclass(frozen=True)
class Conv:
    """A convolution; weights (out, in, height, width) are written in their own type."""

    weight: NDArray[np.floating]
    bias: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Slopes:
    """A PReLU."""

    slopes: NDArray[np.float32]


def write_ncnn(layers: Sequence[Conv | Slopes]) -> tuple[str, bytes]:
    """The `.param` text and the `.bin` bytes."""
    lines = ["Input            data      0 1 data"]
    data = b""
    for number, layer in enumerate(layers):
        blobs = f"1 1 b{number} b{number + 1}"
        if isinstance(layer, Slopes):
            lines.append(f"PReLU  prelu_{number}  {blobs} 0={layer.slopes.size}")
            data += layer.slopes.astype("<f4").tobytes()
            continue
        out, _, height, width = layer.weight.shape
        options = f"0={out} 1={width} 11={height} 4=1 5={int(layer.bias is not None)} 6={layer.weight.size}"
        lines.append(f"Convolution conv_{number} {blobs} {options} 9=2 -23310=1,2.000000e-01")
        half = layer.weight.dtype == np.float16
        block = layer.weight.astype("<f2" if half else "<f4").tobytes()
        data += struct.pack("<I", 0x01306B47 if half else 0) + block + b"\0" * (-len(block) % 4)
        if layer.bias is not None:
            data += layer.bias.astype("<f4").tobytes()
    return "\n".join(["7767517", f"{len(lines)} {len(lines) + 3}", *lines]) + "\n", data


def model_of(state: dict[str, Array], names: Sequence[str]) -> tuple[str, bytes]:
    """An ncnn model with the parameters of a state dict."""
    layers: list[Conv | Slopes] = []
    for name in names:
        weight = state[f"{name}.weight"]
        if weight.ndim == 1:
            layers.append(Slopes(weight.astype(np.float32)))
        else:
            bias = state.get(f"{name}.bias")
            layers.append(Conv(weight, None if bias is None else bias.astype(np.float32)))
    return write_ncnn(layers)
