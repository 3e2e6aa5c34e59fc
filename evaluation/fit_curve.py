"""Fits the coefficients of luxscaler/tone_curve.py to a folder of HDR pictures and prints them.

    .venv/bin/python -m evaluation.fit_curve FOLDER [--folds 6]

Every picture, whole and cut, is rendered to SDR in many ways; the coefficients are those that bring the
expanded luminances nearest to the original's in PU21 (mean of the PSNRs, Adam, a small penalty on size). With
`--folds` the pictures are divided, each part is judged by coefficients fitted to the others, and the mean
PSNR per rendering is printed: that is the figure to believe. It knows histograms of codes, not where pixels
are: domes are not part of the fit.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluation.metrics import pu21
from evaluation.renderings import RENDERINGS, Rendering, capped, codes_of, decoded, hable, luminance
from luxscaler import tone_curve
from luxscaler.color import encode_srgb
from luxscaler.dynamic_range import clipped_areas
from luxscaler.image import read_picture
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

STEPS, RATE, PENALTY = 600, 0.01, 0.2
CROPS = 16
CEILING = math.log(tone_curve.FITTED_BOOST)
CODES = torch.arange(256, dtype=torch.float64) / 255
KNOTS = torch.tensor(tone_curve.KNOT_CODES, dtype=torch.float64)


@dataclass(frozen=True)
class Sample:
    """One rendering, reduced to what the fit looks at, per 8-bit code of the largest channel."""

    picture: str
    rendering: str
    inputs: list[float]
    few: float
    share: Tensor
    level: Tensor
    """Mean linear luminance."""
    wanted: Tensor
    """PU21 value that the mean level should get."""
    spread: Tensor
    """Variance of what is missing to it."""


def sample(picture: str, name: str, rendering: Rendering) -> Sample:
    """Reduce a rendering."""
    code = np.round(encode_srgb(rendering.sdr.max(axis=2).astype(np.float64)) * 255).astype(int)
    flat = code.ravel()
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
    shares = tuple(float((code >= round(value * 255)).mean()) for value in tone_curve.SHARE_CODES)
    area = float(clipped_areas(torch.from_numpy(code >= 255)).mean())
    arrays = [torch.from_numpy(np.asarray(x, np.float64)) for x in (count / count.sum(), level, mean, spread)]
    few = math.exp(-area / tone_curve.SMALL_SHARE)
    return Sample(picture, name, list(tone_curve.regressors(shares)), few, *arrays)


def gains(coefficients: Tensor, inputs: Tensor, few: Tensor) -> Tensor:
    """Log gains (samples, 256), differentiable: the arithmetic of tone_curve.estimate and ToneCurve.at."""
    raw = inputs @ coefficients.T
    knots = [torch.zeros(len(inputs), dtype=torch.float64)]
    for column in raw.unbind(1):
        limited = torch.maximum(column, knots[-1]).clamp(max=CEILING)
        knots.append(limited + 0.01 * (column - column.detach()))  # a little gradient where it is limited
    knots[-1] = knots[-1] + (CEILING - knots[-1]) * few
    width = KNOTS.diff()
    for i in range(len(knots) - 2, 0, -1):
        knots[i] = torch.maximum(knots[i], knots[i + 1] - tone_curve.MAX_STEEPNESS * width[i])
    y = torch.stack(knots, 1)
    secant = y.diff(dim=1) / width
    rising = (secant[:, :-1] > 1e-9) & (secant[:, 1:] > 1e-9)
    harmonic = 2 / (1 / secant[:, :-1].clamp(min=1e-9) + 1 / secant[:, 1:].clamp(min=1e-9))
    flat = torch.zeros(len(inputs), 1, dtype=torch.float64)
    slope = torch.cat([flat, torch.where(rising, harmonic, 0.0), flat], 1)
    out = torch.zeros(len(inputs), 256, dtype=torch.float64)
    for i in range(len(width)):
        t = ((CODES - KNOTS[i]) / width[i]).clamp(0, 1)[None]
        a, b = (slope[:, i] * width[i])[:, None], (slope[:, i + 1] * width[i])[:, None]
        rise = (y[:, i + 1] - y[:, i])[:, None]
        value = (((a + b - 2 * rise) * t + (3 * rise - 2 * a - b)) * t + a) * t + y[:, i][:, None]
        inside = torch.logical_and(CODES.gt(KNOTS[i]), CODES.le(KNOTS[i + 1] + 1e-9))
        out = torch.where(inside[None], value, out)
    return out


def errors(coefficients: Tensor, samples: list[Sample]) -> Tensor:
    """Mean squared PU21 error of each sample."""
    inputs = torch.tensor([s.inputs for s in samples], dtype=torch.float64)
    few = torch.tensor([s.few for s in samples], dtype=torch.float64)
    share, level, wanted, spread = (
        torch.stack([getattr(s, name) for s in samples]) for name in ("share", "level", "wanted", "spread")
    )
    expanded = gains(coefficients, inputs, few).exp() * level * REFERENCE_WHITE_CD_M2
    return (share * ((_pu21(expanded) - wanted) ** 2 + spread)).sum(1)


def _pu21(luminance_cd_m2: Tensor) -> Tensor:
    """evaluation.metrics.pu21, differentiable: interpolated in a table over the logarithm."""
    grid = torch.linspace(math.log(0.005), math.log(10000.0), 4001, dtype=torch.float64)
    table = torch.from_numpy(np.asarray(pu21(grid.exp().numpy()), np.float64))
    position = (luminance_cd_m2.clamp(0.005, 10000.0).log() - grid[0]) / (grid[1] - grid[0])
    low = position.detach().floor().clamp(0, 3999).long()
    return table[low] + (position - low) * (table[low + 1] - table[low])


def fit(samples: list[Sample]) -> Tensor:
    """Coefficients (knots, regressors) for these samples."""
    start = torch.tensor(tone_curve.COEFFICIENTS, dtype=torch.float64)
    coefficients = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([coefficients], lr=RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = 10 * torch.log10(errors(coefficients, samples)).mean() + PENALTY * (coefficients**2).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return coefficients.detach()


def samples_of(path: Path, generator: np.random.Generator) -> list[Sample]:
    """The renderings of the evaluation, and variations: cut, exposed and bent at random."""
    hdr = np.maximum(read_picture(path).rgb, 0.0)
    fixed = [sample(path.name, name, render(hdr)) for name, render in RENDERINGS.items()]
    varied = []
    for index in range(CROPS):
        cut = hdr
        if index % 3:
            rows, columns = hdr.shape[0] * 5 // 8, hdr.shape[1] * 5 // 8
            top = int(generator.integers(0, hdr.shape[0] - rows + 1))
            left = int(generator.integers(0, hdr.shape[1] - columns + 1))
            cut = hdr[top : top + rows, left : left + columns]
        white = max(float(np.percentile(luminance(cut), generator.uniform(90, 98))), 1e-9)
        bend = _BENDS[index % len(_BENDS)]
        varied.append(
            sample(path.name, "varied", bend((cut / np.float32(white)).astype(np.float32), generator))
        )
    return fixed + varied


def _clip(scene: FloatArray, _: np.random.Generator) -> Rendering:
    return Rendering(decoded(codes_of(scene)), capped(scene))


def _shoulder(scene: FloatArray, generator: np.random.Generator) -> Rendering:
    scene, knee = scene * np.float32(generator.uniform(0.35, 1.2)), generator.uniform(0.3, 0.8)
    bent = knee + (1 - knee) * (1 - np.exp(-np.maximum(scene - knee, 0) / (1 - knee)))
    return Rendering(decoded(codes_of(np.where(scene <= knee, scene, bent))), capped(scene))


def _anchored(curve: Callable[[FloatArray], FloatArray], scene: FloatArray) -> Rendering:
    sdr = decoded(codes_of(curve(scene).astype(np.float32)))
    scale = float(np.median(luminance(sdr))) / max(float(np.median(luminance(scene))), 1e-9)
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


_BENDS = (_clip, _shoulder, _reinhard, _hable, _clip, _shoulder, _reinhard, _narkowicz)


def main() -> None:
    """Read, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=int, default=0)
    options = parser.parse_args()
    generator = np.random.default_rng(1)
    paths = sorted(path for path in options.folder.iterdir() if path.suffix in (".exr", ".hdr"))
    pictures = {path.name: samples_of(path, generator) for path in paths}
    if options.folds:
        cross_validate(pictures, options.folds)
    coefficients = fit([s for samples in pictures.values() for s in samples])
    for row in coefficients.tolist():
        print("    (" + ", ".join(f"{value:.3f}" for value in row) + "),")


def cross_validate(pictures: dict[str, list[Sample]], folds: int) -> None:
    """Print the mean PSNR of each rendering of pictures that the fit has not seen."""
    names = list(pictures)
    scores: dict[str, list[float]] = {}
    for fold in range(folds):
        held = set(names[fold::folds])
        coefficients = fit([s for name in names if name not in held for s in pictures[name]])
        judged = [s for name in held for s in pictures[name] if s.rendering != "varied"]
        for one, error in zip(judged, errors(coefficients, judged).tolist(), strict=True):
            scores.setdefault(one.rendering, []).append(20 * math.log10(256) - 10 * math.log10(error))
    for rendering, values in scores.items():
        print(f"{rendering}: {np.mean(values):.2f} dB on pictures not seen")


if __name__ == "__main__":
    main()
