"""Reads the parameters out of ncnn model files, so that weights published for ncnn can be used in PyTorch.

A model is two files. `.param` is text: a magic number, a line with counts, then one line per layer: type,
name, numbers of inputs and outputs, their names, and `key=value` options. `.bin` holds the parameters of
the layers in the same order, without names or lengths: a Convolution is a 4-byte flag (fp16 or float32),
its weights (padded to 4 bytes) and a float32 bias; a PReLU is its float32 slopes.

Values are returned as they are stored (float16 stays float16). The caller names the layers with parameters,
since names in ncnn files differ from those in PyTorch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luxscaler.errors import WeightsError
from luxscaler.words import counted

PARAM_MAGIC = "7767517"
FLAG_FLOAT32 = 0x00000000
FLAG_FLOAT16 = 0x01306B47
ALIGNMENT = 4
"""Blocks of weights are padded to a multiple of this many bytes."""

WITHOUT_PARAMETERS = frozenset({"Input", "Split", "Concat", "BinaryOp", "Eltwise", "Interp", "PixelShuffle"})
"""Layers without parameters. Any other unknown type might own bytes of the `.bin` and is refused."""

Array = NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True)
class NcnnLayer:
    """One line of a `.param` file that owns parameters: what is needed to find them in the `.bin`."""

    kind: str
    """"Convolution" or "PReLU"."""
    name: str
    outputs: int
    """Output channels of a convolution; slopes of a PReLU."""
    kernel: tuple[int, int] = (1, 1)
    """Height and width."""
    weights: int = 0
    """Number of weights of a convolution in total."""
    bias: bool = False


class _Reader:
    """Takes arrays off the front of the bytes of a `.bin` file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, dtype: str, count: int, layer: NcnnLayer) -> NDArray[np.generic]:
        """The next `count` values; raises `WeightsError` where the file ends before them."""
        size = np.dtype(dtype).itemsize * count
        if size > self.left:
            raise WeightsError(
                f"ncnn .bin file ends inside layer {layer.name}: "
                f"{counted(size, 'byte')} wanted, {self.left} left"
            )
        values = np.frombuffer(self._data, dtype, count, self._place)
        self._place += size
        return values

    def align(self) -> None:
        """Skip the padding up to the next multiple of `ALIGNMENT`."""
        self._place = min(-(-self._place // ALIGNMENT) * ALIGNMENT, len(self._data))

    @property
    def left(self) -> int:
        return len(self._data) - self._place


def convert(param: str, binary: bytes, names: Sequence[str]) -> dict[str, Array]:
    """Parameters of an ncnn model as a state dict of NumPy arrays.

    param: text of the `.param` file. binary: bytes of the `.bin` file. names: what the layers with
    parameters are called, in the order of the file.

    Gives `<name>.weight`: (out, in, height, width) for a convolution, (slopes,) for a PReLU; and
    `<name>.bias`: (out,) float32. Weights are float16 or float32, as stored.

    Raises `WeightsError` where the files are malformed, disagree with each other or with the number of
    names, hold another kind of layer, or leave bytes over.
    """
    layers = parse_param(param)
    if len(layers) != len(names):
        raise WeightsError(
            f"ncnn model has {counted(len(layers), 'layer')} with parameters, expected {len(names)}"
        )
    reader = _Reader(binary)
    state: dict[str, Array] = {}
    for layer, name in zip(layers, names, strict=True):
        if layer.kind == "PReLU":
            state[f"{name}.weight"] = reader.take("<f4", layer.outputs, layer).astype(np.float32)
            continue
        state[f"{name}.weight"] = _read_weights(reader, layer)
        if layer.bias:
            state[f"{name}.bias"] = reader.take("<f4", layer.outputs, layer).astype(np.float32)
    if reader.left:
        raise WeightsError(f"ncnn .bin file has {counted(reader.left, 'byte')} after the last layer")
    return state


def parse_param(text: str) -> list[NcnnLayer]:
    """The layers of a `.param` file that own parameters, in order; raises `WeightsError` if malformed."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or lines[0] != [PARAM_MAGIC]:
        raise WeightsError(f"not an ncnn .param file: it does not start with {PARAM_MAGIC}")
    count = _number(lines[1][0], "layer count")
    if len(lines) - 2 != count:
        raise WeightsError(
            f"ncnn .param file has {counted(len(lines) - 2, 'layer')}, its header says {count}"
        )
    return [_parse_layer(line) for line in lines[2:] if line[0] not in WITHOUT_PARAMETERS]


def _parse_layer(words: Sequence[str]) -> NcnnLayer:
    kind = words[0]
    if kind not in ("Convolution", "PReLU"):
        raise WeightsError(f"ncnn layer type {kind!r} is not supported")
    if len(words) < 4:
        raise WeightsError(f"ncnn layer line is too short: {' '.join(words)!r}")
    name = words[1]
    blobs = _number(words[2], f"inputs of {name}") + _number(words[3], f"outputs of {name}")
    options = dict(word.partition("=")[::2] for word in words[4 + blobs :])
    outputs = _option(options, "0", name)
    if kind == "PReLU":
        return NcnnLayer(kind, name, outputs)
    width = _option(options, "1", name)
    height = _option(options, "11", name, default=width)
    weights = _option(options, "6", name)
    if not outputs * height * width or weights % (outputs * height * width):
        raise WeightsError(f"ncnn layer {name}: {weights} weights do not fit {outputs} × {height} × {width}")
    has_bias = _option(options, "5", name, default=0) == 1
    return NcnnLayer(kind, name, outputs, (height, width), weights, has_bias)


def _option(options: Mapping[str, str], key: str, name: str, default: int | None = None) -> int:
    """An integer option of a layer; without a default it must be there."""
    if key not in options and default is not None:
        return default
    return _number(options.get(key, ""), f"option {key} of {name}")


def _number(word: str, what: str) -> int:
    """A count, which no format writes negative."""
    if not (word.isascii() and word.isdigit() and len(word) <= 10):
        raise WeightsError(f"ncnn .param file: {what} must be a count, got {word!r}")
    return int(word)


def _read_weights(reader: _Reader, layer: NcnnLayer) -> Array:
    """Weights of a convolution: flag, values, padding."""
    flag = int(reader.take("<u4", 1, layer)[0])
    shape = (layer.outputs, -1, *layer.kernel)
    if flag == FLAG_FLOAT16:
        half = reader.take("<f2", layer.weights, layer).astype(np.float16)
        reader.align()
        return half.reshape(shape)
    if flag == FLAG_FLOAT32:
        return reader.take("<f4", layer.weights, layer).astype(np.float32).reshape(shape)
    raise WeightsError(
        f"ncnn layer {layer.name}: weights of kind 0x{flag:08X} are not supported (quantised?)"
    )
