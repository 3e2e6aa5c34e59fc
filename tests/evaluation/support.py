"""Small HDR pictures and pairs on disk, for the tests of the evaluation."""

from pathlib import Path

import numpy as np
import OpenEXR
from PIL import Image

from evaluation.renderings import codes_of
from luxscaler.picture import FloatArray


def light(seed: int, height: int = 24, width: int = 32) -> FloatArray:
    """Log-normal light, (height, width, 3) float32, with two negative rows, as files have them."""
    picture = np.exp(np.random.default_rng(seed).normal(-1, 1.5, (height, width, 3))).astype(np.float32)
    picture[:2] = -0.01
    return picture


def write_exr(path: Path, rgb: FloatArray) -> Path:
    path.parent.mkdir(exist_ok=True)
    with OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGB": rgb}) as file:
        file.write(str(path))
    return path


def write_pair(folder: Path, name: str, hdr: FloatArray) -> None:
    """A pair whose SDR rendering is the HDR one clipped at 1."""
    write_exr(folder / f"{name}.hdr.exr", hdr)
    Image.fromarray(codes_of(np.maximum(hdr, 0))).save(folder / f"{name}.sdr.png")
