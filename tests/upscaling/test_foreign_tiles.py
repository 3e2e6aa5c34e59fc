"""Networks that look at a picture in windows: in tiles, of a master too, these lie as in the whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from luxscaler.errors import UpscaleError
from luxscaler.networks.foreign import ForeignConfig, ForeignNetwork
from luxscaler.options import UpscalerOptions
from luxscaler.picture import Picture
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import read_sources, render_sources
from luxscaler.upscaling.tiled import aligned_spans
from luxscaler.upscaling.upscaler import FOREIGN_TILE, Upscaler, foreign_overlap
from luxscaler.weights.spandrel_loader import load_foreign
from tests.support.architectures import SAMPLES

GRID = 32
OPTIONS = UpscalerOptions(device="cpu")


class Windows(nn.Module):
    """Doubles a picture, darker from left to right and from top to bottom within each window."""

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (1 - 0.5 * (torch.arange(n) % GRID) / GRID for n in x.shape[2:])
        return (x * rows[:, None] * columns).repeat_interleave(2, 2).repeat_interleave(2, 3)


def upscaler() -> Upscaler:
    config = ForeignConfig("Windows", scale=2)
    return Upscaler(ForeignNetwork(config, Windows(), lambda model, x: model(x)), OPTIONS)


def noise(height: int, width: int) -> Tensor:
    return torch.rand((height, width, 3), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("origin", [(0, 0), (20, 88), (64, 31), (1, 0)])
@pytest.mark.parametrize("size", [(40, 70), (5, 3)])
def test_a_tile_is_upscaled_as_its_place_in_the_picture_is(
    origin: tuple[int, int], size: tuple[int, int]
) -> None:
    top, left = origin
    picture = noise(top + size[0], left + size[1])
    whole = upscaler().upscale(picture, 2)[2 * top :, 2 * left :]
    found = upscaler().upscale(picture[top:, left:].contiguous(), 2, origin=origin)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-6)


def test_a_network_may_compute_in_what_it_is_given() -> None:
    """As RCAN does: a grey one is given a view of the coverage itself."""

    def call(_model: nn.Module, x: Tensor) -> Tensor:
        return x.mul_(0.5).repeat_interleave(2, 2).repeat_interleave(2, 3)

    config = ForeignConfig("InPlace", in_channels=1, out_channels=1, scale=2)
    alpha = noise(16, 24)[..., 0].contiguous()
    before = alpha.clone()
    Upscaler(ForeignNetwork(config, nn.Identity(), call), OPTIONS).upscale_alpha(alpha, 2)
    assert torch.equal(alpha, before)


def test_a_picture_smaller_than_what_a_network_mirrors_is_made_larger_for_it() -> None:
    def call(_model: nn.Module, x: Tensor) -> Tensor:
        return nn.functional.pad(x, (0, 3, 0, 3), mode="reflect")[:, :, :-3, :-3]

    network = Upscaler(ForeignNetwork(ForeignConfig("Mirror", scale=1), nn.Identity(), call), OPTIONS)
    picture = noise(1, 2)
    torch.testing.assert_close(network.upscale(picture, 1), picture)


def test_what_a_network_fails_of_is_one_line_with_its_name() -> None:
    def call(_model: nn.Module, x: Tensor) -> Tensor:
        raise RuntimeError("pin_memory=True requires\nan accelerator")

    network = Upscaler(ForeignNetwork(ForeignConfig("Broken"), nn.Identity(), call), OPTIONS)
    message = "^Broken, a network of spandrel's, fails on 7 × 5 source pixels: pin_memory=True requires an "
    with pytest.raises(UpscaleError, match=message):
        network.upscale(noise(5, 7), 4)


def test_coverage_is_upscaled_as_its_place_is_too() -> None:
    alpha = noise(60, 158)[..., 0].contiguous()
    told: list[tuple[int, int]] = []
    whole = upscaler().upscale_alpha(alpha, 2)
    found = upscaler().upscale_alpha(
        alpha[20:, 88:], 2, origin=(20, 88), progress=lambda *done: told.append(done)
    )
    # At its edges a tile does not know its neighbours, within whose range coverage stays.
    torch.testing.assert_close(found[8:, 8:], whole[48:, 184:], rtol=0, atol=1e-6)
    assert told[-1][0] == told[-1][1]


def test_a_master_of_two_tiles_has_no_seam_at_a_place_that_is_no_window() -> None:
    light = np.full((64, 204, 3), 0.5, np.float32)
    picture = Picture(light)
    picture = replace(picture, source=replace(picture.source, is_float=False, bits=8))

    def upscaled(tile: int) -> np.ndarray:
        # Without a reference nothing corrects what the network made.
        request = UpscaleRequest(picture, output_format="tiff", scale=2, tile=tile, self_reference=False)
        sources = read_sources(request)
        assert (len(sources.cuts) > 1) == (tile < 204)
        assert tile == 204 or sources.cuts.source_columns[1].start % GRID
        return render_sources(sources, upscaler()).light.rgb

    np.testing.assert_allclose(upscaled(128), upscaled(204), atol=1e-5)


@pytest.mark.parametrize(("window", "multiple", "grid"), [(1, 1, 32), (7, 1, 35), (12, 8, 48), (64, 1, 64)])
def test_tiles_begin_and_end_where_windows_do(window: int, multiple: int, grid: int) -> None:
    config = ForeignConfig("Windows", window=window, multiple_of=multiple)
    assert config.grid == grid
    cuts = aligned_spans(1000, FOREIGN_TILE, foreign_overlap(config), grid)
    assert len(cuts) > 3
    assert not any(cut.start % grid or cut.stop % grid for cut in cuts[:-1])


@pytest.mark.parametrize(("architecture", "window"), [("GRL", 64), ("SwinIR", 8), ("SPAN", 1)])
def test_windows_are_those_of_the_network(architecture: str, window: int) -> None:
    sample = next(sample for sample in SAMPLES if sample.architecture == architecture)
    assert load_foreign(sample.state()).config.window == window


def test_a_network_that_goes_by_the_whole_sees_it_as_far_as_may_be_and_says_so() -> None:
    seen: list[tuple[int, ...]] = []

    def call(_model: nn.Module, x: Tensor) -> Tensor:
        seen.append(tuple(x.shape[2:]))
        return x

    network = ForeignNetwork(ForeignConfig("Mean", scale=1, sees_all=True), nn.Identity(), call)
    upscaler = Upscaler(network, OPTIONS)
    upscaler.upscale(noise(16, FOREIGN_TILE + 40), 1)
    assert seen == [(16, FOREIGN_TILE + 40)]
    assert upscaler.notices(1) == ()
    assert upscaler.notices(1, is_part=True)[0].startswith("Mean goes by all that it sees, here a part")


def test_ipt_cuts_patches_and_tiles_follow_them() -> None:
    sample = next(sample for sample in SAMPLES if sample.architecture == "IPT")
    config = load_foreign(sample.state()).config
    assert (config.step, config.context, config.grid) == (6, 12, 6)
    assert foreign_overlap(config) == 48
    own = replace(config, step=12, context=24)  # patches of 48 pixels, as the published ones have
    assert foreign_overlap(own) <= FOREIGN_TILE // 2
    assert foreign_overlap(ForeignConfig("other")) == 32
