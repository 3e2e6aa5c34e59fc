"""Back-projection: averages kept, light never negative, out-of-gamut colours too."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.picture import HALF_MAX
from luxscaler.upscaling.back_projection import keep_averages, keep_lights


def averages(picture: Tensor, factor: int) -> Tensor:
    """Over factor × factor pixels, computed without pooling."""
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    return picture.reshape(height, factor, width, factor, 3).mean(dim=(1, 3))


def pictures(low: float, high: float, factor: int = 4) -> tuple[Tensor, Tensor]:
    """A smooth source, and an enlargement of it that has drifted in colour and lost its highlights."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand((1, 3, 5, 7), generator=generator) ** 3 * (high - low) + low
    source = F.interpolate(coarse, (20, 28), mode="bicubic", align_corners=False).clamp(low, high)
    size = (20 * factor, 28 * factor)
    enlarged = F.interpolate(source, size, mode="bilinear", align_corners=False)
    drifted = enlarged * torch.tensor([0.9, 1.05, 1.0])[:, None, None] - 0.05 * enlarged.clamp(min=1.0) ** 1.1
    return drifted[0].permute(1, 2, 0).contiguous(), source[0].permute(1, 2, 0).contiguous()


def drift(enlarged: Tensor, source: Tensor) -> float:
    """Mean difference of the averages, as a share of the mean light."""
    factor = enlarged.shape[0] // source.shape[0]
    return float((averages(enlarged, factor) - source).abs().mean() / source.mean())


def test_averages_come_back_to_the_sources() -> None:
    for factor in (2, 4):
        enlarged, source = pictures(0.0, 30.0, factor)
        before = drift(enlarged, source)
        keep_averages(enlarged, source)
        assert before > 0.05
        assert drift(enlarged, source) < before / 5
        assert abs(float(enlarged.mean() / source.mean()) - 1.0) < 0.01  # the energy of the whole


def test_a_picture_with_the_right_averages_stays() -> None:
    enlarged = torch.rand((16, 24, 3), generator=torch.Generator().manual_seed(1))
    before = enlarged.clone()
    torch.testing.assert_close(keep_averages(enlarged, averages(enlarged, 4)), before, rtol=1e-4, atol=1e-5)


def test_light_does_not_turn_negative_beside_a_highlight() -> None:
    source = torch.full((12, 12, 3), 0.01)
    source[6, 6] = 1000.0
    enlarged = torch.full((48, 48, 3), 0.01)
    result = keep_averages(enlarged, source)
    assert float(result.min()) >= 0.0
    assert torch.isfinite(result).all()
    assert float(averages(result, 4)[6, 6, 0]) > 0.3


def test_out_of_gamut_colours_keep_their_averages_too() -> None:
    enlarged, source = pictures(-0.2, 0.6)
    after = keep_averages(enlarged.clone(), source)
    assert float(source.min()) < -0.1
    assert float((averages(after, 4) - source).abs().mean()) < 0.3 * float(
        (averages(enlarged, 4) - source).abs().mean()
    )


def test_it_works_in_place() -> None:
    enlarged, source = pictures(0.0, 2.0)
    assert keep_averages(enlarged, source) is enlarged


def sun(light: float, side: int) -> tuple[Tensor, Tensor]:
    """A sky with a sun of `side` pixels, and what networks make of it: soft edges, half of the light lost."""
    source = torch.full((12, 14, 3), 0.8)
    source[5 : 5 + side, 6 : 6 + side] = light * torch.tensor([1.0, 0.9, 0.7])
    plane = F.interpolate(source.log().permute(2, 0, 1)[None], (48, 56), mode="bilinear", align_corners=False)
    return plane[0].permute(1, 2, 0).contiguous().exp(), source


@pytest.mark.parametrize(
    ("light", "side", "lost"),
    [(500.0, 2, 1e-3), (50_000.0, 1, 1e-3), (50_000.0, 3, 0.03), (300_000.0, 1, 1e-3)],
)
def test_the_light_of_a_sun_stays(light: float, side: int, lost: float) -> None:
    """To what the range of half floats leaves no room for."""
    enlarged, source = sun(light, side)
    assert float(keep_averages(enlarged, source).clamp_(max=light).mean() / source.mean()) < 0.95
    result = keep_lights(enlarged, source)
    assert abs(float(result.mean() / source.mean()) - 1.0) < lost
    assert light > HALF_MAX or float(result.max()) <= HALF_MAX
    assert float(result[20, 24, 0]) < float(
        result[21, 25, 0]
    )  # the sun's corner stays darker than its inside


def test_what_is_no_lamp_or_hardly_off_is_not_touched() -> None:
    enlarged, source = pictures(0.0, 99.0)
    before = enlarged.clone()
    assert torch.equal(keep_lights(enlarged, source), before)
    bright = 4000.0 * torch.rand((16, 24, 3), generator=torch.Generator().manual_seed(1)) + 200.0
    before = bright.clone()
    assert torch.equal(keep_lights(bright, 1.04 * averages(bright, 4)), before)
