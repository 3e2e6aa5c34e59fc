"""How far an expanded picture is from its reference: PU21-PSNR of luminance, and ColorVideoVDP.

The two need each other: PU21-PSNR sees every pixel's luminance and no colour or structure, ColorVideoVDP sees
the picture as an observer would but is blind to one gain over the whole of it. Nothing here aligns or
normalizes its input ("raw"). Pictures are (H, W, 3) float32 linear Rec.709, 1.0 = 203 cd/m².
"""

import hashlib
import importlib
import math
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.cache import Cache
from luxscaler.color import luminance
from luxscaler.hdr.steepness import PU21 as _P
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

PU21_MIN_CD_M2, PU21_MAX_CD_M2 = 0.005, 10000.0
PU21_PEAK = 256.0
"""The peak of the PSNR: 100 cd/m² is 256 by construction."""
MAX_PSNR = 100.0
"""Identical pictures count as this many dB, so that means and JSON stay finite."""
DISPLAY = "standard_hdr_linear"


class Jod(Protocol):
    """A quality in just-objectionable differences: 10 is identical, lower is worse."""

    def __call__(self, test: FloatArray, reference: FloatArray) -> float:
        """Compare two pictures."""


def pu21(cd_m2: NDArray[np.floating]) -> NDArray[np.float64]:
    """Luminance in cd/m² to PU21 units, in float64."""
    power = np.clip(cd_m2.astype(np.float64), PU21_MIN_CD_M2, PU21_MAX_CD_M2) ** _P[3]
    return np.maximum(_P[6] * (((_P[0] + _P[1] * power) / (1 + _P[2] * power)) ** _P[4] - _P[5]), 0)


def pu21_psnr(test: FloatArray, reference: FloatArray) -> float:
    """PSNR of luminance in PU21 units, peak 256, in dB; at most MAX_PSNR."""
    difference = pu21(luminance(test) * REFERENCE_WHITE_CD_M2) - pu21(
        luminance(reference) * REFERENCE_WHITE_CD_M2
    )
    error = float(np.mean(difference**2))
    return MAX_PSNR if error == 0 else min(10 * math.log10(PU21_PEAK**2 / error), MAX_PSNR)


class ColorVideoVdp:
    """ColorVideoVDP (Mantiuk et al., SIGGRAPH 2024), by its authors' package; absolute linear cd/m².

    cache: earlier results by the content of both pictures, or None.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        self._cache = Cache() if cache is None else cache

    def __call__(self, test: FloatArray, reference: FloatArray) -> float:
        """Compare two pictures: 10 is identical."""
        return self._cache.get(self.key(test, reference), lambda: self._predict(test, reference))

    @staticmethod
    def key(test: FloatArray, reference: FloatArray) -> str:
        """What a comparison is called in the cache."""
        return hashlib.sha256(b"\0".join([DISPLAY.encode(), test.tobytes(), reference.tobytes()])).hexdigest()

    def _predict(self, test: FloatArray, reference: FloatArray) -> float:
        light = (torch.from_numpy(picture * REFERENCE_WHITE_CD_M2) for picture in (test, reference))
        with torch.inference_mode():
            jod, _ = self._metric.predict(*light, dim_order="HWC")
        return float(jod)

    @cached_property
    def _metric(self) -> Any:
        make_torchvision_importable()
        from pycvvdp import cvvdp  # noqa: PLC0415 (heavy, and an extra)

        return cvvdp(display_name=DISPLAY)


def make_torchvision_importable() -> None:
    """Let torchvision be imported beside a PyTorch for which its wheel has no compiled operators.

    ColorVideoVDP takes a Gaussian blur from torchvision, which describes two compiled operators on import
    without looking whether they exist. Declared, they are never called.
    (tests/support/reference_shim.py does more.)
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        arguments = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        library.define("nms" + arguments)  # type: ignore[no-untyped-call]
        library.define("qnms" + arguments)  # type: ignore[no-untyped-call]
        _declared.append(library)


_declared: list[torch.library.Library] = []
"""The declarations live as long as these objects."""
