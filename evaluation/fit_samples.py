"""What the curve is fitted to: every HDR picture under many renderings, each reduced to histograms.

The five renderings of the evaluation of the picture itself; the same of variations of it (cut, its contrast
and white balance changed, at half its size), which stand in for more pictures; and other curves of
the same kinds at random exposures, half of them stored as JPEG.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from evaluation.metrics import pu21
from evaluation.renderings import RENDERINGS, Rendering, capped, codes_of, decoded, hable
from luxscaler.color import encode_srgb, luminance
from luxscaler.hdr.expand import clipped_areas, few_lights, white_of
from luxscaler.hdr.features import SIDE, clues
from luxscaler.io.read import read_picture
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

VARIATIONS = 9
CUTS = (1.0, 0.8, 0.6, 0.45)
OTHERS = 32
FLOOR = 1e-9


@dataclass(frozen=True)
class Sample:
    """One rendering, reduced to what the fit needs, per 8-bit code of the largest channel."""

    picture: str
    rendering: str
    """A name of RENDERINGS, or that of a curve in `OTHER_CURVES`."""
    kind: str
    """"picture", "variation" or "other"."""
    clues: tuple[float, ...]
    few: float
    share: Tensor
    level: Tensor
    """Mean linear luminance."""
    wanted: Tensor
    """PU21 value that the mean level should get."""
    spread: Tensor
    """Variance of what is missing to it."""


def sample(picture: str, name: str, kind: str, rendering: Rendering) -> Sample:
    """Reduce a rendering."""
    sdr = torch.from_numpy(np.ascontiguousarray(rendering.sdr))
    white = max(white_of(sdr), FLOOR)
    coded = encode_srgb(rendering.sdr.max(axis=2).astype(np.float64) / white)
    flat = np.clip(np.round(coded * 255), 0, 255).astype(int).ravel()
    own = luminance(rendering.sdr).ravel()
    # Of one code there are pixels of all luminances: what counts is how far each is from its own reference.
    missing = pu21(luminance(rendering.reference).ravel() * REFERENCE_WHITE_CD_M2)
    missing -= pu21(own * REFERENCE_WHITE_CD_M2)
    count = np.bincount(flat, minlength=256)
    safe = np.maximum(count, 1)
    rise = np.bincount(flat, missing, 256) / safe
    spread = np.bincount(flat, (missing - rise[flat]) ** 2, 256) / safe
    level = np.bincount(flat, own, 256) / safe
    mean = pu21(level * REFERENCE_WHITE_CD_M2) + rise
    arrays = [torch.from_numpy(np.asarray(x, np.float64)) for x in (count / count.sum(), level, mean, spread)]
    return Sample(picture, name, kind, clues(sdr, white), few_lights(clipped_areas(sdr, white)), *arrays)


def samples_of(path: Path) -> list[Sample]:
    """All samples of one picture; the same ones whenever it is called."""
    generator = np.random.default_rng(sum(path.name.encode()))
    full = np.maximum(read_picture(path).rgb, 0.0)
    hdr = full if max(full.shape) <= SIDE else _halved(full)
    found = [sample(path.name, name, "picture", render(hdr)) for name, render in RENDERINGS.items()]
    for varied in ([full] if full is not hdr else []) + list(_variations(hdr, generator)):
        found += [sample(path.name, name, "variation", render(varied)) for name, render in RENDERINGS.items()]
    for index in range(OTHERS):
        name = list(OTHER_CURVES)[index % len(OTHER_CURVES)]
        cut = hdr if index % 3 == 0 else _cut(hdr, 0.625, generator)
        white = max(float(np.percentile(luminance(cut), generator.uniform(90, 98))), FLOOR)
        rendering = OTHER_CURVES[name]((cut / np.float32(white)).astype(np.float32), generator)
        if index >= OTHERS // 2:
            rendering = _as_jpeg(rendering, int(generator.integers(75, 97)))
        found.append(sample(path.name, name.split(",")[0], "other", rendering))
    return found


def _variations(hdr: FloatArray, generator: np.random.Generator) -> Iterator[FloatArray]:
    for index in range(VARIATIONS):
        last = index == VARIATIONS - 1
        varied = _halved(hdr) if last else _cut(hdr, CUTS[index % len(CUTS)], generator)
        median = max(float(np.median(luminance(varied))), FLOOR)
        if index % 2 or index % len(CUTS) == 0:
            light = np.maximum(luminance(varied), FLOOR)[..., None]
            power = np.exp(generator.uniform(-0.3, 0.3)) - 1
            varied = np.asarray(varied * (light / median) ** power, np.float32)
        yield np.asarray(varied * np.exp(generator.uniform(-0.25, 0.25, 3)) / median, np.float32)


def _cut(hdr: FloatArray, part: float, generator: np.random.Generator) -> FloatArray:
    rows, columns = int(hdr.shape[0] * part), int(hdr.shape[1] * part)
    top = int(generator.integers(0, hdr.shape[0] - rows + 1))
    left = int(generator.integers(0, hdr.shape[1] - columns + 1))
    return hdr[top : top + rows, left : left + columns]


def _halved(hdr: FloatArray) -> FloatArray:
    rows, columns = hdr.shape[0] // 2, hdr.shape[1] // 2
    blocks = hdr[: rows * 2, : columns * 2].reshape(rows, 2, columns, 2, 3)
    return np.asarray(blocks.mean((1, 3)), np.float32)


def _as_jpeg(rendering: Rendering, quality: int) -> Rendering:
    file = io.BytesIO()
    Image.fromarray(codes_of(rendering.sdr)).save(file, "JPEG", quality=quality)
    with Image.open(file) as picture:
        return Rendering(decoded(np.asarray(picture)), rendering.reference)


def _clip(scene: FloatArray, _: np.random.Generator) -> Rendering:
    return Rendering(decoded(codes_of(scene)), capped(scene))


def _shoulder(scene: FloatArray, generator: np.random.Generator) -> Rendering:
    scene, knee = scene * np.float32(generator.uniform(0.35, 1.2)), generator.uniform(0.3, 0.8)
    bent = knee + (1 - knee) * (1 - np.exp(-np.maximum(scene - knee, 0) / (1 - knee)))
    return Rendering(decoded(codes_of(np.where(scene <= knee, scene, bent))), capped(scene))


def _anchored(curve: Callable[[FloatArray], FloatArray], scene: FloatArray) -> Rendering:
    sdr = decoded(codes_of(curve(scene).astype(np.float32)))
    scale = float(np.median(luminance(sdr))) / max(float(np.median(luminance(scene))), FLOOR)
    return Rendering(sdr, capped(scene * np.float32(scale)))


def _reinhard(scene: FloatArray, generator: np.random.Generator) -> Rendering:
    white = np.float32(generator.uniform(1.5, 8))
    return _anchored(
        lambda x: np.asarray(x * (1 + x / white**2) / (1 + x), np.float32),
        scene * np.float32(generator.uniform(0.6, 1.2)),
    )


def _hable(scene: FloatArray, generator: np.random.Generator) -> Rendering:
    return _anchored(hable, scene * np.float32(generator.uniform(1, 5)))


def _narkowicz(scene: FloatArray, generator: np.random.Generator) -> Rendering:
    return _anchored(
        lambda x: np.asarray(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), np.float32),
        scene * np.float32(generator.uniform(0.4, 1)),
    )


OTHER_CURVES: dict[str, Callable[[FloatArray, np.random.Generator], Rendering]] = {
    "other clip": _clip,
    "other shoulder": _shoulder,
    "other Reinhard": _reinhard,
    "other Hable": _hable,
    "other clip, again": _clip,
    "other shoulder, again": _shoulder,
    "other Reinhard, again": _reinhard,
    "other ACES": _narkowicz,
}
