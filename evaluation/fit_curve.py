"""Fits the numbers of luxscaler/hdr/fitted.py to a folder of HDR pictures.

    .venv/bin/python -m evaluation.fit_curve FOLDER [--folds 5] [--write luxscaler/hdr/fitted.py]

First the functions are fitted to tell the kinds of renderings apart (logistic regression), then they and
the curves together to bring the expanded luminances nearest to the original's in PU21 (weighted mean of the
PSNRs, Adam, a small penalty on the coefficients, a part of the regression's own loss). With `--folds` the
pictures are divided, each part is judged by numbers fitted to the others, and the mean PSNR per rendering is
printed: that is the figure to believe. The samples are histograms of codes, so domes and
de-quantisation are not part of the fit.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from evaluation.fit_samples import Sample, samples_of
from evaluation.metrics import pu21
from luxscaler.hdr import curve, fitted
from luxscaler.picture import REFERENCE_WHITE_CD_M2

KIND_OF = {
    **dict.fromkeys(("hard clip", "JPEG 85", "other clip"), 0),
    **dict.fromkeys(("camera −1", "other shoulder"), 1),
    **dict.fromkeys(("filmic", "other Hable"), 2),
    **dict.fromkeys(("ACES", "other ACES"), 3),
    "other Reinhard": 4,
}
WEIGHT = {"picture": 8.0, "variation": 1.0, "other": 0.5}
WEIGHT_OF = {
    "hard clip": 1.2,
    "JPEG 85": 0.4,
    "camera −1": 1.2,
    "filmic": 2.0,
    "ACES": 1.0,
    "other clip": 0.8,
}
"""Times the weight of its kind; 0.7 for those not named. Film curves count most: there the lift of
curve.py takes back a part of what the fit gains."""
STEPS, RATE, CURVE_RATE = 300, 0.02, 0.05
FIRST_PENALTY, PENALTY = 0.003, 0.001
TELLING = 1.0
"""What a nat of the functions' cross-entropy costs, in dB: they stay probabilities of kinds."""
CEILING = math.log(curve.FITTED_BOOST)
CODES = torch.arange(256, dtype=torch.float64) / 255
KNOTS = torch.tensor(curve.KNOT_CODES, dtype=torch.float64)
LIFTED = torch.tensor(curve.LIFTED[1:], dtype=torch.float64)


@dataclass
class Numbers:
    """What is fitted, differentiable."""

    functions: Tensor
    """(kinds, 1 + clues): constant and coefficients, of clues as they are."""
    curves: Tensor
    """(kinds, knots − 1): log gains."""


class Batch:
    """Samples as tensors."""

    def __init__(self, samples: list[Sample]) -> None:
        self.clues = torch.tensor([s.clues for s in samples], dtype=torch.float64)
        self.few = torch.tensor([s.few for s in samples], dtype=torch.float64)
        self.share = torch.stack([s.share for s in samples])
        self.level = torch.stack([s.level for s in samples])
        self.wanted = torch.stack([s.wanted for s in samples])
        self.spread = torch.stack([s.spread for s in samples])


def log_gains(numbers: Numbers, clues: Tensor, few: Tensor, lift: float = curve.FILM_LIFT) -> Tensor:
    """Log gains (samples, 256): the arithmetic of curve.estimate and ToneCurve.at."""
    kinds = torch.softmax(numbers.functions[:, 0] + clues @ numbers.functions[:, 1:].T, 1)
    gains = kinds @ numbers.curves
    gains = gains + lift * kinds[:, fitted.FILM, None] * (LIFTED - gains).clamp(min=0)
    gains = gains.clamp(max=CEILING)
    knots = [torch.zeros_like(few), *gains.unbind(1)]
    knots[-1] = knots[-1] + (CEILING - knots[-1]) * few
    width = KNOTS.diff()
    for i in range(len(knots) - 2, 0, -1):
        knots[i] = torch.maximum(knots[i], knots[i + 1] - curve.MAX_STEEPNESS * width[i])
    return _cubic(torch.stack(knots, 1))


def _cubic(y: Tensor) -> Tensor:
    """(samples, knots) → (samples, 256), between the knots as ToneCurve.at does it."""
    width = KNOTS.diff()
    secant = y.diff(dim=1) / width
    rising = (secant[:, :-1] > 1e-9) & (secant[:, 1:] > 1e-9)
    harmonic = 2 / (1 / secant[:, :-1].clamp(min=1e-9) + 1 / secant[:, 1:].clamp(min=1e-9))
    flat = torch.zeros(len(y), 1, dtype=torch.float64)
    slope = torch.cat([flat, torch.where(rising, harmonic, 0.0), flat], 1)
    parts = [torch.zeros(len(y), int((KNOTS[0] >= CODES).sum()), dtype=torch.float64)]
    for i in range(len(width)):
        inside = torch.logical_and(CODES.gt(KNOTS[i]), CODES.le(KNOTS[i + 1] + 1e-9))
        t = (CODES[inside] - KNOTS[i])[None] / width[i]
        a, b = (slope[:, i] * width[i])[:, None], (slope[:, i + 1] * width[i])[:, None]
        rise = (y[:, i + 1] - y[:, i])[:, None]
        parts.append((((a + b - 2 * rise) * t + (3 * rise - 2 * a - b)) * t + a) * t + y[:, i][:, None])
    return torch.cat(parts, 1)


def errors(numbers: Numbers, batch: Batch, lift: float = curve.FILM_LIFT) -> Tensor:
    """Mean squared PU21 error of each sample."""
    gains = log_gains(numbers, batch.clues, batch.few, lift)
    expanded = gains.exp() * batch.level * REFERENCE_WHITE_CD_M2
    return (batch.share * ((_pu21(expanded) - batch.wanted) ** 2 + batch.spread)).sum(1)


def _pu21(luminance_cd_m2: Tensor) -> Tensor:
    """evaluation.metrics.pu21, differentiable: interpolated in a table over the logarithm."""
    low, high = math.log(0.005), math.log(10000.0)
    position = (luminance_cd_m2.clamp(0.005, 10000.0).log() - low) * (4000 / (high - low))
    cell = position.detach().floor().clamp(0, 3999).long()
    return _TABLE[cell] + (position - cell) * (_TABLE[cell + 1] - _TABLE[cell])


_TABLE = torch.from_numpy(pu21(np.exp(np.linspace(math.log(0.005), math.log(10000.0), 4001))))


def fit(samples: list[Sample]) -> Numbers:
    """Numbers for these samples."""
    batch = Batch(samples)
    weight = torch.tensor(
        [WEIGHT[s.kind] * WEIGHT_OF.get(s.rendering, 0.7) for s in samples], dtype=torch.float64
    )
    weight /= weight.sum()
    mean, deviation = batch.clues.mean(0), batch.clues.std(0) + 1e-9
    kinds = torch.tensor([KIND_OF[s.rendering] for s in samples])
    scaled = (batch.clues - mean) / deviation
    functions = _classify(scaled, kinds, weight).requires_grad_()
    raw = torch.full((len(fitted.KINDS), len(KNOTS) - 1), -2.5, dtype=torch.float64)
    raw[:2] = torch.tensor([-5.0, -5.0, -5.0, -5.0, -4.0, -4.0, -3.0, -2.0, -1.0], dtype=torch.float64)
    raw.requires_grad_()
    groups = [{"params": [functions], "lr": RATE}, {"params": [raw], "lr": CURVE_RATE}]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        numbers = Numbers(_unscaled(functions, mean, deviation), _curves(raw))
        loss = (weight * 10 * torch.log10(errors(numbers, batch, lift=0.0))).sum()
        loss = loss + PENALTY * (functions[:, 1:] ** 2).sum()
        loss = loss + TELLING * _cross_entropy(functions, scaled, kinds, weight)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return Numbers(_unscaled(functions.detach(), mean, deviation), _curves(raw.detach()))


def _classify(scaled: Tensor, kinds: Tensor, weight: Tensor) -> Tensor:
    """Logistic regression: (kinds, 1 + clues), of clues with mean 0 and deviation 1."""
    functions = torch.zeros(len(fitted.KINDS), scaled.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([functions], max_iter=80, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = _cross_entropy(functions, scaled, kinds, weight)
        value = value + FIRST_PENALTY * (functions[:, 1:] ** 2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return functions.detach()


def _cross_entropy(functions: Tensor, scaled: Tensor, kinds: Tensor, weight: Tensor) -> Tensor:
    logs = functions[:, 0] + scaled @ functions[:, 1:].T
    return (weight * F.cross_entropy(logs, kinds, reduction="none")).sum()


def _unscaled(functions: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    coefficients = functions[:, 1:] / deviation
    return torch.cat([functions[:, :1] - (coefficients @ mean)[:, None], coefficients], 1)


def _curves(raw: Tensor) -> Tensor:
    """Any numbers → log gains that rise from knot to knot and stay below the ceiling."""
    return CEILING * (1 - torch.exp(-torch.cumsum(F.softplus(raw), 1) / CEILING))


def cross_validate(pictures: dict[str, list[Sample]], folds: int) -> dict[str, dict[str, float]]:
    """PSNR in dB of each rendering of pictures that the fit has not seen, by rendering and picture."""
    names = list(pictures)
    scores: dict[str, dict[str, float]] = {}
    for fold in range(folds):
        held = set(names[fold::folds])
        numbers = fit([s for name in names if name not in held for s in pictures[name]])
        judged = [s for name in held for s in pictures[name] if s.kind == "picture"]
        for one, error in zip(judged, errors(numbers, Batch(judged)).tolist(), strict=True):
            scores.setdefault(one.rendering, {})[one.picture] = 20 * math.log10(256) - 10 * math.log10(error)
    return scores


def written(numbers: Numbers) -> str:
    """The text of luxscaler/hdr/fitted.py with these numbers in it."""
    text = Path(fitted.__file__).read_text(encoding="utf-8")
    # A softmax is the same whatever is added to all of its functions.
    for name, values in (
        ("FUNCTIONS", numbers.functions - numbers.functions[:1]),
        ("CURVES", numbers.curves),
    ):
        rows = "".join("    (" + ", ".join(f"{v:.3f}" for v in row) + "),\n" for row in values.tolist())
        start = text.index("(\n", text.index(f"{name}: ")) + 2
        text = text[:start] + rows + text[text.index('\n)\n"""', start) + 1 :]
    return text


def main() -> None:
    """Read, fit, print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.iterdir() if path.suffix in (".exr", ".hdr"))
    pictures = {path.name: samples_of(path) for path in paths}
    if options.folds:
        for rendering, scores in cross_validate(pictures, options.folds).items():
            print(f"{rendering}: {np.mean(list(scores.values())):.2f} dB on pictures not seen")
        return
    text = written(fit([s for samples in pictures.values() for s in samples]))
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
