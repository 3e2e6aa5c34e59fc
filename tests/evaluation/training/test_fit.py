"""The fit: a few steps lower the loss, the seed decides, and what is left out is not seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluation.metrics import pu21
from evaluation.pictures import PANORAMAS, PHOTOGRAPHS, find
from evaluation.tearing import tearing
from evaluation.training import samples as samples_module
from evaluation.training.fit import (
    GROUP_SHARE,
    Batch,
    FitOptions,
    chances_of,
    expanded_by,
    fit,
    loss_of,
    seen,
    torn,
)
from evaluation.training.leave_out import LeaveOut, all_samples
from evaluation.training.samples import SHAPES, Sample
from luxscaler.hdr.expand import ToneStatistics, expand
from luxscaler.hdr.network import GainNetwork, gain_network
from luxscaler.io.write import export

QUICK = FitOptions(steps=6, batch=4, seen=0, dropout=0.0)


@pytest.fixture(scope="module")
def some_samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        light = np.exp2(rng.normal(0, 2, (16, 24))).repeat(8, 0).repeat(8, 1)
        rgb = np.asarray(light[..., None] * rng.uniform(0.8, 1, (128, 192, 3)), np.float32)
        export(folder / f"{name}.exr", rgb)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples_module, "SHOTS", 8)
        return list(all_samples(find([str(folder)]), 1, folder / "samples"))


@pytest.mark.slow
def test_samples_have_shapes_that_batches_need(some_samples: list[Sample]) -> None:
    assert {sample.shape for sample in some_samples} <= set(SHAPES)
    assert {sample.source for sample in some_samples} == {"one.exr", "two.exr"}
    assert sum(sample.kind == "exact" for sample in some_samples) == 10
    assert all(bool(sample.hdr.isfinite().all()) for sample in some_samples)


@pytest.mark.slow
def test_a_few_steps_lower_the_loss(some_samples: list[Sample]) -> None:
    shape = some_samples[0].shape
    batch = Batch.of([sample for sample in some_samples if sample.shape == shape])
    torch.manual_seed(0)
    before = GainNetwork().eval()
    after = fit(some_samples, options=FitOptions(steps=15, batch=6, seen=0, dropout=0.0))
    how = FitOptions(seen=0)
    with torch.no_grad():
        losses = [float(loss_of(network, batch, None, how)) for network in (before, after)]
    assert losses[1] < losses[0]


def test_groups_count_alike_however_many_pictures_they_have(some_samples: list[Sample]) -> None:
    one = [replace(sample, group=PHOTOGRAPHS) for sample in some_samples if sample.source == "one.exr"]
    others = [
        replace(sample, group=PANORAMAS, source=f"{number}.exr")
        for number in range(3)
        for sample in some_samples
    ]
    used = [sample for sample in (*one, *others) if sample.kind == "exact"]
    chances = chances_of(used)
    assert float(chances.sum()) == pytest.approx(1.0)
    shares = [
        sum(float(chance) for chance, sample in zip(chances, used, strict=True) if sample.group == group)
        for group in (PHOTOGRAPHS, PANORAMAS)
    ]
    assert shares[0] / shares[1] == pytest.approx(GROUP_SHARE[PHOTOGRAPHS] / GROUP_SHARE[PANORAMAS])


@pytest.mark.slow
def test_a_fit_is_the_same_again_and_another_without_a_source(some_samples: list[Sample]) -> None:
    first, again = (fit(some_samples, options=QUICK).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    without = LeaveOut(some_samples, QUICK)(frozenset({"one.exr"})).network.state_dict()
    assert not all(torch.equal(first[name], without[name]) for name in first)
    alone = fit([s for s in some_samples if s.source != "one.exr"], options=QUICK).state_dict()
    assert all(torch.equal(without[name], alone[name]) for name in without)


def test_training_expands_as_the_package_does(some_samples: list[Sample]) -> None:
    sample = next(sample for sample in some_samples if sample.kind == "exact")
    batch, network = Batch.of([sample]), gain_network()
    with torch.no_grad():
        shares = network(batch.cells, batch.statistics, batch.log_boost)
        trained = expanded_by(network, shares, batch)[0].permute(1, 2, 0)
    rgb = sample.sdr.float().permute(1, 2, 0).contiguous()
    boost = float(np.exp(sample.log_boost))
    shipped = expand(rgb, boost, ToneStatistics.of(rgb), network=network)
    assert float((trained.clamp(min=1e-3) / shipped.clamp(min=1e-3)).log().abs().mean()) < 0.05


def test_the_table_of_pu21_is_pu21() -> None:
    light = torch.logspace(-4, 1.5, 300)
    expected = pu21(light.numpy() * 203)
    np.testing.assert_allclose(seen(light).numpy(), expected, atol=0.05)


def test_what_is_torn_costs_and_what_is_smooth_does_not() -> None:
    ramp = torch.linspace(0.05, 0.9, 60).expand(1, 3, 20, 60)
    smooth, steep = ramp[:, 0] * 1.3, ramp[:, 0] * torch.where(ramp[:, 0] > 0.5, 4.0, 1.0)
    assert float(torn(seen(ramp), seen(smooth), 2.0)) == 0.0
    assert float(torn(seen(ramp), seen(steep), 2.0)) > 0.001
    rgb, result = ramp[0].permute(1, 2, 0).numpy(), steep[0][..., None].expand(-1, -1, 3).numpy()
    assert tearing(np.ascontiguousarray(rgb), np.ascontiguousarray(result)) > 0
