"""Random cameras: from scene light to an SDR picture and the HDR rendering that undoes it.

A camera's SDR picture is made by a curve for the whole picture (clips, shoulders, film curves, log
curves), by a local tone map that darkens bright areas and keeps what is dark (phones), or by fusing
exposures; per channel or in luminance; with more or less colour; in 8 bits, sometimes as JPEG. The HDR
rendering agrees with it in the median or in the dark parts, and ends at the boost.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch.nn import functional as F

from evaluation.renderings import RENDERINGS, codes_of, decoded, hable
from luxscaler.color import decode_srgb, encode_srgb, luminance
from luxscaler.picture import FloatArray

DISPLAY_BOOST = 1000.0 / 203.0
"""The boost of the evaluation; half of the samples have others, from LOW_BOOST to HIGH_BOOST."""
LOW_BOOST, HIGH_BOOST = 2.0, 12.0
TINY = 1e-9
Curve = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Shot:
    """One picture as a camera shows it, and as it should be expanded."""

    kind: str
    sdr: FloatArray
    """(H, W, 3) linear, of 8-bit codes, in [0, 1]."""
    hdr: FloatArray
    """The same shape; luminance up to `boost`."""
    boost: float


def standard(scene: FloatArray, rng: Generator) -> Shot:
    """One of the evaluation's renderings; their references end at DISPLAY_BOOST."""
    made = list(RENDERINGS.values())[rng.integers(0, len(RENDERINGS))](scene)
    return _shot("standard", made.sdr, made.reference, min(_some_boost(rng), DISPLAY_BOOST))


def one_curve(scene: FloatArray, rng: Generator) -> Shot:
    """A random curve for the whole picture."""
    light = _exposed(scene, rng) * np.float32(2 ** rng.uniform(-1, 0.6))
    sdr = _finished(_apply(_some_curve(rng), light, rng, 0.6), rng)
    return _shot("curve", sdr, _anchored(light, sdr, rng.random() < 0.5), _some_boost(rng))


def local_tone_map(scene: FloatArray, rng: Generator) -> Shot:
    """A phone's: base light above a threshold is compressed, detail and dark parts stay as in the HDR
    rendering."""
    light = _exposed(scene, rng)
    stops = np.log2(np.maximum(luminance(light), 1e-5)).astype(np.float32)
    base = guided(stops, stops, int(rng.integers(3, 24)), rng.uniform(0.02, 0.6))
    soft = rng.uniform(0.3, 1.2)
    above = soft * np.log1p(np.exp(np.clip((base - rng.uniform(-4.5, -0.8)) / soft, -40, 40)))
    darkened = rng.uniform(0.3, 0.9) * above
    if rng.random() < 0.4:  # shadows lifted, in both renderings
        lift = rng.uniform(0.1, 0.45) * np.maximum(-3 - base, 0)
        light = _times(light, 2**lift)
    sdr = _times(light, 2**-darkened)
    hdr = _rolled_off(light, 2 ** rng.uniform(1.0, 3.1))
    if rng.random() < 0.5:  # the SDR rendering fills its range
        fill = 1 / max(float(np.percentile(sdr.max(2), rng.uniform(97, 100))), 1e-6)
        sdr, hdr = sdr * np.float32(fill * rng.uniform(0.85, 1.1)), hdr * np.float32(fill)
    curve = _some_curve(rng) if rng.random() < 0.4 else _shoulder(0.7)
    shown = _finished(_apply(curve, sdr, rng, 0.5), rng)
    hdr = _anchored(hdr, shown, False)
    own = float(np.clip(np.percentile(hdr.max(2), 99.99), 1.2, 16))
    return _shot("phone", shown, hdr, own if rng.random() < 0.5 else DISPLAY_BOOST)


def fused_exposures(scene: FloatArray, rng: Generator) -> Shot:
    """Mertens, Kautz and Van Reeth, "Exposure fusion", Pacific Graphics 2007: the well-exposed of each,
    blended."""
    light = _exposed(scene, rng)
    count, spread, radius = int(rng.integers(2, 5)), rng.uniform(0.15, 0.3), int(rng.integers(4, 30))
    total: FloatArray = np.zeros_like(light)
    weights = np.zeros((*light.shape[:2], 1), np.float32)
    for stops in np.linspace(0, -rng.uniform(2, 5), count):
        coded = encode_srgb(np.clip(light * np.float32(2**stops), 0, 1))
        grey = coded.mean(2)
        well_exposed = np.exp(-(((grey - 0.5) / spread) ** 2) / 2) + 1e-4
        weight = np.maximum(guided(well_exposed.astype(np.float32), grey, radius, 0.02), np.float32(1e-4))
        total = total + _times(coded, weight)
        weights = weights + weight[..., None]
    sdr = _finished(decode_srgb(np.clip(total / weights, 0, 1)), rng)
    return _shot("fusion", sdr, _anchored(light, sdr, False), _some_boost(rng))


def edited(scene: FloatArray, rng: Generator) -> Shot:
    """An editor's two renderings of one scene: the same shoulder, towards SDR white and towards a
    headroom."""
    light, knee = _exposed(scene, rng), rng.uniform(0.15, 0.6)
    headroom = float(2 ** rng.uniform(1, 3))
    hdr = _relit(light, _shoulder(knee, headroom)(luminance(light)))
    sdr = _finished(_apply(_shoulder(knee), light, rng, 0.5), rng)
    return _shot("edited", sdr, hdr, headroom if rng.random() < 0.5 else DISPLAY_BOOST)


def dim(scene: FloatArray, rng: Generator) -> Shot:
    """A dim picture, in which nothing reaches white: it must stay as it is."""
    peak = decode_srgb(np.array([rng.uniform(0.3, 0.85)], np.float32))[0]
    light = np.asarray(scene * (peak / max(float(np.percentile(scene.max(2), 99.9)), TINY)), np.float32)
    sdr = _finished(_shoulder(0.6 * peak, peak)(light), rng)
    return _shot("dim", sdr, sdr, _some_boost(rng))


def shipped(sdr: FloatArray, hdr: FloatArray, headroom: float, rng: Generator) -> Shot:
    """A part of a pair that a camera or an editor made, with a little other colour and exposure."""
    height, width = sdr.shape[:2]
    part = rng.uniform(0.5, 1)
    rows, columns = int(height * part), int(width * part)
    top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
    cut = (slice(top, top + rows), slice(left, left + columns, None))
    gain = np.exp(rng.normal(0, 0.05, 3) + rng.uniform(-0.25, 0.05)).astype(np.float32)
    boost = headroom if rng.random() < 0.5 else float(rng.uniform(2, 6))
    shown, light = decoded(codes_of(sdr[cut] * gain)), hdr[cut] * gain
    if rng.random() < 0.5:
        shown, light = shown[:, ::-1], light[:, ::-1]
    return _shot("pair", np.ascontiguousarray(shown), np.ascontiguousarray(light), boost)


CAMERAS: dict[str, Callable[[FloatArray, Generator], Shot]] = {
    "standard": standard,
    "curve": one_curve,
    "phone": local_tone_map,
    "fusion": fused_exposures,
    "edited": edited,
    "dim": dim,
}


def guided(plane: FloatArray, guide: FloatArray, radius: int, epsilon: float) -> FloatArray:
    """He, Sun and Tang, "Guided image filtering", ECCV 2010, of (H, W), by boxes applied twice."""
    mean_guide, mean = _box(guide, radius), _box(plane, radius)
    slope = (_box(guide * plane, radius) - mean_guide * mean) / (
        _box(guide * guide, radius) - mean_guide**2 + np.float32(epsilon)
    )
    return _box(slope, radius) * guide + _box(mean - slope * mean_guide, radius)


def _box(plane: FloatArray, radius: int) -> FloatArray:
    tensor, size = torch.from_numpy(np.ascontiguousarray(plane, np.float32))[None, None], 2 * radius + 1
    for _ in range(2):
        tensor = F.avg_pool2d(F.pad(tensor, (radius, radius, 0, 0), mode="replicate"), (1, size), 1)
        tensor = F.avg_pool2d(F.pad(tensor, (0, 0, radius, radius), mode="replicate"), (size, 1), 1)
    return tensor[0, 0].numpy()


def adapted(sdr: FloatArray, hdr: FloatArray, boost: float) -> FloatArray:
    """The HDR rendering for a lower headroom: luminance ends at `boost`.

    Every gain is reduced to the same share of its stops, as ISO 21496-1 adapts a gain map to a display; a cap
    would leave bright parts flat. Of a boost to 1000 cd/m² the evaluation's references are capped, and so
    are its shots.
    """
    light = luminance(hdr)
    peak = float(np.percentile(light, 99.99))
    if boost != DISPLAY_BOOST and peak > boost:
        shown = np.maximum(luminance(sdr), 1e-6)
        share = np.float32(math.log(boost) / math.log(peak))
        light = np.asarray(shown * (np.maximum(light, 1e-6) / shown) ** share, np.float32)
    return _relit(hdr, np.minimum(light, np.float32(boost)))


def _shot(kind: str, sdr: FloatArray, hdr: FloatArray, boost: float) -> Shot:
    return Shot(kind, np.asarray(sdr, np.float32), adapted(sdr, hdr, boost), boost)


def _some_boost(rng: Generator) -> float:
    if rng.random() < 0.5:
        return DISPLAY_BOOST
    return float(np.exp(rng.uniform(np.log(LOW_BOOST), np.log(HIGH_BOOST))))


def _exposed(scene: FloatArray, rng: Generator) -> FloatArray:
    light = luminance(scene)
    if rng.random() < 0.6:
        white = float(np.percentile(light, rng.uniform(86, 99.5)))
    else:
        white = float(np.median(light)) / rng.uniform(0.08, 0.3)
    return np.asarray(scene / np.float32(max(white, TINY)), np.float32)


def _relit(rgb: FloatArray, light: FloatArray) -> FloatArray:
    """The colours of (H, W, 3) with another luminance."""
    return np.asarray(rgb * (light / np.maximum(luminance(rgb), TINY))[..., None], np.float32)


def _times(rgb: FloatArray, plane: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> FloatArray:
    return np.asarray(rgb * plane[..., None], np.float32)


def _apply(curve: Curve, light: FloatArray, rng: Generator, per_channel: float) -> FloatArray:
    """Through a curve: per channel with that probability, else in luminance."""
    if rng.random() < per_channel:
        return np.asarray(curve(light), np.float32)
    return _relit(light, curve(luminance(light)))


def _finished(light: FloatArray, rng: Generator) -> FloatArray:
    """More or less colour, 8 bits, sometimes JPEG."""
    if rng.random() < 0.4:
        grey = luminance(light)[..., None]
        light = np.maximum(grey + (light - grey) * np.float32(rng.uniform(0.8, 1.25)), 0)
    codes = codes_of(light)
    if rng.random() < 0.4:
        file = io.BytesIO()
        quality, subsampling = int(rng.integers(70, 98)), int(rng.choice([0, 2]))
        Image.fromarray(codes).save(file, "JPEG", quality=quality, subsampling=subsampling)
        with Image.open(file) as picture:
            codes = np.asarray(picture)
    return decoded(codes)


def _anchored(light: FloatArray, sdr: FloatArray, in_the_median: bool) -> FloatArray:
    """Scaled to agree with the SDR picture in the median, or over its darker half."""
    shown, own = luminance(sdr), luminance(light)
    if in_the_median:
        scale = float(np.median(shown)) / max(float(np.median(own)), TINY)
        return light * np.float32(scale)
    codes = encode_srgb(shown) * 255
    dark = (codes > 12) & (codes < np.percentile(codes, 50))
    if np.count_nonzero(dark) <= 20:
        return light
    ratio = np.log(np.maximum(shown[dark], 1e-6) / np.maximum(own[dark], 1e-6))
    return light * np.float32(np.exp(np.median(ratio)))


def _rolled_off(light: FloatArray, headroom: float) -> FloatArray:
    own = luminance(light)
    high = headroom * (0.6 + 0.4 * np.tanh((own / headroom - 0.6) / 0.4))
    return _relit(light, np.where(own < headroom * 0.6, own, high).astype(np.float32))


def _shoulder(knee: float, top: float = 1.0) -> Curve:
    """Linear up to the knee, from there an exponential that nears `top`."""
    room = top - knee
    return lambda x: np.where(
        x <= knee, x, knee + room * (1 - np.exp(-np.maximum(x - knee, 0) / room))
    ).astype(np.float32)


def _some_curve(rng: Generator) -> Curve:
    white = float(np.exp(rng.uniform(np.log(1.3), np.log(12))))
    bright, dark = np.float32(rng.uniform(1, 5)), np.float32(rng.uniform(0.4, 1.1))
    power, bend = rng.uniform(0.8, 1.25), _shoulder(rng.uniform(0.5, 0.9))
    curves: tuple[Curve, ...] = (
        _shoulder(rng.uniform(0.2, 0.85)),
        lambda x: np.asarray(x * (1 + x / white**2) / (1 + x), np.float32),
        lambda x: hable(x * bright),
        lambda x: _narkowicz(x * dark),
        _log_curve(rng.uniform(4, 6.5), rng.uniform(1.6, 2.6), rng.uniform(-0.2, 0.2)),
        lambda x: x,
        lambda x: bend((0.18 * (x / 0.18) ** power).astype(np.float32)),
    )
    return curves[rng.integers(0, len(curves))]


def _narkowicz(x: FloatArray) -> FloatArray:
    return np.asarray(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), np.float32)


def _log_curve(stops: float, contrast: float, shift: float) -> Curve:
    """A sigmoid over stops around mid-grey, as in film-like transforms such as AgX."""
    ends = 1 / (1 + np.exp(contrast * 3.2))

    def curve(x: FloatArray) -> FloatArray:
        position = (np.log2(np.maximum(x, 1e-6) / 0.18) + shift) / stops * 2
        level = (1 / (1 + np.exp(-contrast * position * 1.6)) - ends) / (1 - 2 * ends)
        return np.asarray(np.clip(level, 0, 1) ** 2.2, np.float32)

    return curve
