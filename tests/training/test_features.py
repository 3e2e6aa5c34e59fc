"""What a VGG sees as a loss, and what the judge sees: zero for equals, larger for worse, the right layers."""

import pytest
import torch
from torch.nn import functional as F

from luxscaler.networks.efficientnet import STAGES, EfficientNetLite0
from luxscaler.networks.vgg import VGG, VGG16_HED, VGG19, VGGConfig
from luxscaler.training.features import FeatureLoss
from luxscaler.training.judge import Judge
from tests.support.training_files import CPU, TINY_VGG, random_judge, tiny_features

PICTURE = torch.rand((2, 3, 48, 40), generator=torch.Generator().manual_seed(1))


def _blurred(size: int) -> torch.Tensor:
    return F.avg_pool2d(PICTURE, size, 1, size // 2)


def test_features_are_zero_for_equals_and_grow() -> None:
    features = tiny_features()
    assert float(features(PICTURE, PICTURE)) == 0.0
    assert 0 < float(features(_blurred(3), PICTURE)) < float(features(_blurred(9), PICTURE))


def test_features_are_a_mean_of_pictures_and_of_no_scale() -> None:
    """Each layer counts as a share of what it sees, so weights a hundred times as large change nothing."""
    features = tiny_features()
    apart = [float(features(_blurred(5)[i : i + 1], PICTURE[i : i + 1])) for i in range(2)]
    assert float(features(_blurred(5), PICTURE)) == pytest.approx(sum(apart) / 2, rel=1e-5)
    torch.manual_seed(5)
    state = {name: value * 1.0 for name, value in VGG(TINY_VGG).state_dict().items()}
    state["conv1_1.weight"] *= 100.0
    state["conv1_1.bias"] *= 100.0
    for name in ("conv2_1.bias", "conv3_1.bias"):
        state[name] *= 100.0
    louder = FeatureLoss(TINY_VGG, state, CPU)
    assert float(louder(_blurred(5), PICTURE)) == pytest.approx(
        float(features(_blurred(5), PICTURE)), rel=1e-4
    )


def test_gradients_reach_the_made_picture_alone() -> None:
    features = tiny_features()
    made = _blurred(3).requires_grad_(True)
    features(made, PICTURE).backward()
    assert made.grad is not None
    assert float(made.grad.abs().max()) > 0
    assert not any(parameter.requires_grad for parameter in features.parameters())


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("config", "names"),
    [
        (VGG19, {"conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4"}),
        (VGG16_HED, {"conv1_2", "conv2_2", "conv3_3", "conv4_3"}),
    ],
)
def test_the_layers_are_real_esrgans(config: VGGConfig, names: set[str]) -> None:
    with torch.device("meta"):
        state = VGG(config).state_dict()
        weights = FeatureLoss(config, state, torch.device("meta"))._weights
    assert set(weights) == names
    assert list(weights.values()) == [0.1, 0.1, 1.0, 1.0, 1.0][: len(names)]


def test_layers_are_seen_before_relu_and_later_ones_not_computed() -> None:
    torch.manual_seed(2)
    vgg = VGG(VGGConfig((1, 1), (4, 4), mean=(0.0, 0.0, 0.0), spread=(1.0, 1.0, 1.0)))
    found = vgg(PICTURE, ["conv1_1"])
    assert found.keys() == {"conv1_1"}
    layer = vgg.get_submodule("conv1_1")
    assert torch.equal(found["conv1_1"], layer(PICTURE))
    assert float(found["conv1_1"].detach().min()) < 0
    reversed_vgg = VGG(VGGConfig((1,), (4,), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), reversed_channels=True))
    reversed_vgg.load_state_dict({f"conv1_1.{name}": value for name, value in layer.state_dict().items()})
    assert torch.equal(reversed_vgg(PICTURE, ["conv1_1"])["conv1_1"], layer(PICTURE.flip(1)))


def test_the_judge_is_zero_for_equals_and_grows() -> None:
    judge = random_judge()
    true = PICTURE[:1]
    assert judge.distance(true, true) == 0.0
    near, far = (judge.distance(_blurred(size)[:1], true) for size in (3, 9))
    assert 0 < near < far < 4
    assert judge.distance(true, _blurred(3)[:1]) == pytest.approx(near)


@pytest.mark.parametrize("side", [16, 33, 64])
def test_the_judge_looks_at_four_sizes_of_any_picture(side: int) -> None:
    torch.manual_seed(3)
    sizes = [tuple(each.shape[1:]) for each in EfficientNetLite0().eval()(torch.rand(1, 3, side, side))]
    halves = [side]
    for _ in range(4):
        halves.append(-(-halves[-1] // 2))
    assert sizes == [
        (channels, half, half) for channels, half in zip((16, 24, 40, 112), halves[1:], strict=True)
    ]
    assert len(STAGES) == 4


def test_other_weights_are_no_judge() -> None:
    state = EfficientNetLite0().state_dict()
    state["other.weight"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"not the judge's weights: other\.weight"):
        Judge(state, CPU)
    with pytest.raises(ValueError, match="not the judge's weights: _conv_stem"):
        Judge({}, CPU)
