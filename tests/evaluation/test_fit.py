"""evaluation/fit_curve.py draws the curve that luxscaler/hdr/curve.py draws, only differentiably."""

from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import fit_curve
from evaluation.fit_curve import CODES, Batch, Numbers, cross_validate, errors, fit, log_gains, written
from evaluation.fit_samples import OTHER_CURVES, OTHERS, VARIATIONS, Sample, samples_of
from evaluation.renderings import RENDERINGS
from luxscaler.hdr import fitted
from luxscaler.hdr.curve import estimate
from luxscaler.hdr.features import NAMES

IN_USE = Numbers(
    torch.tensor(fitted.FUNCTIONS, dtype=torch.float64), torch.tensor(fitted.CURVES, dtype=torch.float64)
)
some_clues = st.lists(st.floats(-10.0, 10.0), min_size=len(NAMES), max_size=len(NAMES)).map(tuple)


@settings(max_examples=25)
@given(some_clues, st.floats(0.0, 1.0))
def test_the_fit_and_the_product_draw_the_same_curve(clues: tuple[float, ...], few: float) -> None:
    fitted = log_gains(IN_USE, torch.tensor([clues], dtype=torch.float64), torch.tensor([few]).double())
    assert fitted[0].tolist() == pytest.approx(estimate(clues, few).at(CODES).tolist(), abs=1e-6)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Of a small HDR picture."""
    generator = np.random.default_rng(4)
    light = np.exp(generator.normal(-1, 1.5, (24, 32, 3))).astype(np.float32)
    path = tmp_path / "one.exr"
    with OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGB": light}) as file:
        file.write(str(path))
    return samples_of(path)


def test_a_picture_gives_the_renderings_their_variations_and_others(samples: list[Sample]) -> None:
    assert len(samples) == len(RENDERINGS) * (1 + VARIATIONS) + OTHERS
    assert [s.rendering for s in samples[: len(RENDERINGS)]] == list(RENDERINGS)
    assert {s.kind for s in samples} == {"picture", "variation", "other"}
    assert {s.rendering for s in samples} == set(fit_curve.KIND_OF)
    assert len(OTHER_CURVES) == 8


def test_numbers_are_written_as_they_are_read() -> None:
    read: dict[str, tuple[tuple[float, ...], ...]] = {}
    exec(written(IN_USE), read)
    assert read["CURVES"] == fitted.CURVES
    assert read["FUNCTIONS"] == fitted.FUNCTIONS
    assert read["FUNCTIONS"][0] == (0.0,) * (1 + len(NAMES))


@pytest.mark.slow
def test_a_fit_gets_nearer_and_is_judged_on_pictures_that_it_has_not_seen(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_curve, "STEPS", 15)
    numbers = fit(samples)
    batch = Batch(samples)
    assert float(errors(numbers, batch, 0.0).log().mean()) < float(errors(IN_USE, batch, 0.0).log().mean())
    read: dict[str, tuple[tuple[float, ...], ...]] = {}
    exec(written(numbers), read)
    assert torch.tensor(read["CURVES"]).double().allclose(numbers.curves, atol=1e-3)
    scores = cross_validate({"a": samples, "b": samples}, 2)
    assert set(scores) == set(RENDERINGS)
    assert set(scores["ACES"]) == {"one.exr"}
