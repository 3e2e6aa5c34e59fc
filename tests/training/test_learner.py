"""The network while it learns: rates, precision, checkpointing, parts, restoring."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch

from luxscaler.networks.build import Network, NetworkConfig, build_network
from luxscaler.training.learner import Learner, Means, ema_decay, learning_rate
from tests.support.training_files import RRDB, SRVGG

CPU = torch.device("cpu")
SMALL = torch.rand((4, 3, 16, 16), generator=torch.Generator().manual_seed(1))
LARGE = torch.rand((4, 3, 64, 64), generator=torch.Generator().manual_seed(2))


NETWORKS: dict[str, NetworkConfig] = {"rrdb": RRDB, "srvgg": SRVGG}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(3)
    return build_network(NETWORKS[request.param]).eval().requires_grad_(False)


def test_the_rate_warms_up_and_falls() -> None:
    rates = [learning_rate(step, 200, 1.0) for step in range(200)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert max(rates) == 1.0
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.05, abs=0.01)
    assert learning_rate(0, 1, 1.0) == 1.0


def test_short_runs_have_a_short_memory() -> None:
    assert ema_decay(0, 10_000) == pytest.approx(0.1)
    assert ema_decay(90, 100) == pytest.approx(0.9)
    assert ema_decay(90_000, 100_000) == 0.999


def _cases(*quick: tuple[Any, ...]) -> list[Any]:
    """All combinations of the values of the cases that are quick; the others are slow."""
    return [
        case if case in quick else pytest.param(*case, marks=pytest.mark.slow)
        for case in product(*(dict.fromkeys(values) for values in zip(*quick, strict=True)))
    ]


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("network", "method", "means"),
    _cases(
        ("rrdb", "lora", Means(checkpointing=True)),
        ("srvgg", "full", Means(parts=2)),
        ("rrdb", "full", Means(parts=4)),
    ),
    indirect=["network"],
    ids=str,
)
def test_means_change_no_gradients(network: Network, method: str, means: Means) -> None:
    plain, other = (Learner(network, method, 2, 0, CPU) for _ in range(2))
    expected, found = plain.gradients(SMALL, LARGE, Means()), other.gradients(SMALL, LARGE, means)
    if means.parts == 1:
        assert found == expected
    # MS-SSIM's mean is over pictures, so parts add up to the whole.
    assert found == pytest.approx(expected, rel=1e-4)
    for name, value in plain.parameters.items():
        grad = other.parameters[name].grad
        assert value.grad is not None
        assert grad is not None
        torch.testing.assert_close(grad, value.grad, rtol=1e-3, atol=1e-6)


def test_in_bf16_the_last_convolution_is_float32(network: Network) -> None:
    learner = Learner(network, "full", 2, 0, CPU)
    with torch.no_grad():
        half, full = (learner.forward(SMALL, Means(precision)) for precision in ("bf16", "fp32"))
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)
    rounded = half.to(torch.bfloat16).float()
    assert float((rounded == half).float().mean()) < 0.2  # bf16 results would all be multiples
    assert torch.isfinite(torch.tensor(learner.gradients(SMALL, LARGE, Means("bf16")))).all()


@pytest.mark.slow
@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("network", "method"), _cases(("rrdb", "lora"), ("srvgg", "full")), indirect=["network"]
)
def test_a_restored_learner_goes_on_to_the_same_bits(network: Network, method: str) -> None:
    def advance(learner: Learner, steps: int) -> None:
        for _ in range(steps):
            learner.gradients(SMALL, LARGE, Means())
            learner.update(1e-3, 0.5)

    whole = Learner(network, method, 2, 0, CPU)
    advance(whole, 2)
    kept, updates = whole.tensors(), whole.updates
    advance(whole, 3)
    other = Learner(network, method, 2, 9, CPU)
    advance(other, 1)
    other.restore(kept, updates)
    advance(other, 3)
    expected, found = whole.tensors(), other.tensors()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert any(not torch.equal(found[name], kept[name]) for name in kept)


@pytest.mark.slow
@pytest.mark.sample(1)
def test_learning_lowers_the_loss(network: Network) -> None:
    learner = Learner(network, "full", 2, 0, CPU)
    first, _ = learner.gradients(SMALL, LARGE, Means())
    for _ in range(10):
        learner.update(1e-2, 0.5)
        last, _ = learner.gradients(SMALL, LARGE, replace(Means()))
    assert last < first
