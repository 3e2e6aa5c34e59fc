"""The adversary: norms, sizes, losses, what a pass leaves behind, going on to the same bits."""

import pytest
import torch
from torch.nn import functional as F

from luxscaler.networks.build import build_network
from luxscaler.training.adversary import Adversary
from luxscaler.training.discriminator import FEATURES, Discriminator
from luxscaler.training.learner import Learner, Means
from luxscaler.training.losses import ADVERSARY_WEIGHT, Detail, adversary_weight, faithful, losses
from luxscaler.training.seeds import generator
from tests.support.training_files import RRDB, TINY_ADVERSARY, tiny_features

CPU = torch.device("cpu")
SMALL = torch.rand((4, 3, 16, 16), generator=torch.Generator().manual_seed(1))
LARGE = torch.rand((4, 3, 64, 64), generator=torch.Generator().manual_seed(2))


def _adversary(seed: int = 0) -> Adversary:
    return Adversary(seed, CPU, TINY_ADVERSARY)


def _learner(adversary: Adversary) -> Learner:
    torch.manual_seed(3)
    base = build_network(RRDB).eval().requires_grad_(False)
    return Learner(base, "lora", 2, 0, CPU, Detail(tiny_features(), adversary))


@pytest.mark.slow
def test_the_size_is_real_esrgans() -> None:
    with torch.device("meta"):
        network = Discriminator(FEATURES, torch.Generator())
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert shapes["conv3.weight"] == (512, 256, 4, 4)
    assert shapes["conv4.weight"] == (256, 512, 3, 3)
    assert sum(value.numel() for value in network.parameters()) == 4_376_897


@pytest.mark.parametrize("side", [16, 64, 68, 92])
def test_a_verdict_for_every_pixel_of_any_crop(side: int) -> None:
    network = Discriminator(TINY_ADVERSARY, generator(0))
    assert network(torch.rand(2, 3, side, side)).shape == (2, 1, side, side)


def test_the_largest_singular_value_is_one() -> None:
    network = Discriminator(8, generator(1))
    for layer in network.normed():
        with torch.no_grad():
            layer.weight.mul_(7.0)  # the norm follows, whatever the scale
        for _ in range(200):
            layer.advance()
        delta = torch.zeros(1, layer.weight.shape[1], 9, 9)
        delta[0, 0, 4, 4] = 1.0
        matrix = layer.weight.flatten(1)
        norm = torch.linalg.matrix_norm(matrix.double(), 2)
        expected = F.conv2d(delta, (matrix / norm).view_as(layer.weight).float(), padding=1)
        if layer.weight.shape[2] == 3:
            torch.testing.assert_close(layer(delta), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_pass_leaves_no_trace() -> None:
    adversary = _adversary()
    before = adversary.tensors()
    adversary.generator_loss(LARGE.requires_grad_(False))
    adversary.gradients(LARGE, LARGE.flip(3), 1.0)
    adversary.forget_gradients()
    after = adversary.tensors()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.slow
def test_it_learns_to_tell_and_its_loss_reaches_the_picture() -> None:
    adversary = _adversary()
    true, made = LARGE, F.avg_pool2d(LARGE, 5, 1, 2)
    first = adversary.gradients(made, true, 1.0)
    for _ in range(15):
        adversary.norm()
        adversary.update(30.0)
        adversary.forget_gradients()
        last = adversary.gradients(made, true, 1.0)
    assert last < first
    assert float(adversary.generator_loss(made)) > float(adversary.generator_loss(true))
    picture = made.clone().requires_grad_(True)
    adversary.forget_gradients()
    adversary.generator_loss(picture).backward()  # type: ignore[no-untyped-call]
    assert picture.grad is not None
    assert float(picture.grad.abs().max()) > 0
    assert adversary.norm() == 0.0  # the loss of the network teaches the adversary nothing


@pytest.mark.slow
def test_parts_of_a_batch_add_up() -> None:
    whole, parted = _learner(_adversary()), _learner(_adversary())
    expected = whole.gradients(SMALL, LARGE, Means(), weight=0.1)
    assert parted.gradients(SMALL, LARGE, Means(parts=2), weight=0.1) == pytest.approx(expected, rel=1e-4)
    assert parted.terms == pytest.approx(whole.terms, rel=1e-4)
    assert set(whole.terms) == {"faithful", "features", "adversary", "discriminator"}


@pytest.mark.slow
def test_a_restored_one_goes_on_to_the_same_bits() -> None:
    def advance(learner: Learner, steps: int) -> None:
        for _ in range(steps):
            learner.gradients(SMALL, LARGE, Means(), weight=0.1)
            learner.update(1e-3, 0.5)

    whole = _learner(_adversary())
    advance(whole, 2)
    kept, updates = whole.tensors(), whole.updates
    advance(whole, 2)
    other = _learner(_adversary(9))
    advance(other, 1)
    other.restore(kept, updates)
    advance(other, 2)
    expected, found = whole.tensors(), other.tensors()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    changed = {name for name in kept if not torch.equal(expected[name], kept[name])}
    assert {"adversary/now/conv1.u", "adversary/now/conv0.weight", "adversary/exp_avg/conv9.bias"} <= changed


def test_gradients_of_the_adversary_that_are_not_finite_spoil_the_step() -> None:
    learner = _learner(_adversary())
    bad = LARGE.clone()
    bad[0, 0, 0, 0] = float("nan")
    _, norm = learner.gradients(SMALL, bad, Means())
    assert norm != norm  # noqa: PLR0124 - NaN


def test_the_adversary_learns_alone_at_the_beginning() -> None:
    weights = [adversary_weight(step, 1000) for step in range(1000)]
    assert weights[:100] == [0.0] * 100
    assert weights[100:] == [ADVERSARY_WEIGHT] * 900
    assert adversary_weight(499, 100_000) == 0.0
    assert adversary_weight(500, 100_000) == ADVERSARY_WEIGHT
    assert adversary_weight(0, 1) == 0.0


def test_the_parts_of_the_loss_have_real_esrgans_weights() -> None:
    detail = Detail(tiny_features(), _adversary())
    made, true = LARGE, LARGE.flip(2)
    found = losses(made, true, detail, ADVERSARY_WEIGHT)
    assert float(found["faithful"]) == pytest.approx(float(faithful(made, true)))
    assert float(found["features"]) == pytest.approx(float(detail.features(made, true)))
    assert float(found["adversary"]) == pytest.approx(0.1 * float(detail.adversary.generator_loss(made)))
    assert set(losses(made, true, detail, 0.0)) == {"faithful", "features"}
    assert set(losses(made, true, None, ADVERSARY_WEIGHT)) == {"faithful"}
