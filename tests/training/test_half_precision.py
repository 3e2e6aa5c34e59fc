"""float16: refused off CUDA, chosen where bfloat16 is missing, its loss's factor found and kept."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from luxscaler.errors import InputError
from luxscaler.networks.build import build_network
from luxscaler.training import prepare
from luxscaler.training.learner import Learner, Means
from luxscaler.training.loss_scale import CALM_STEPS, FIRST, HIGHEST, LossScale, first_scale
from luxscaler.training.prepare import prepared
from luxscaler.training.record import lines_of
from luxscaler.training.run import Run
from luxscaler.training.train import train
from tests.support.training_files import RRDB, Listener, tiny_settings

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_float16_is_for_cuda(pictures: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(InputError, match="precision is 'fp16', which trains on CUDA only; cpu takes fp32"):
        train(pictures, out, tiny_settings(base, precision="fp16"), Listener().events)
    assert not list(tmp_path.glob("*.train"))
    with pytest.raises(InputError, match="CUDA only; mps"):
        prepare._precision("fp16", torch.device("mps"))


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_takes_what_the_card_computes(
    has_bf16: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_bf16)
    assert prepare._precision("auto", CUDA) == expected
    assert prepare._precision("auto", CPU) == "fp32"
    assert prepare._precision("fp16", CUDA) == "fp16"


def test_the_factor_falls_at_once_and_rises_slowly() -> None:
    scale = first_scale("fp16")
    assert scale.factor == FIRST
    assert first_scale("bf16") == first_scale("fp32") == LossScale(1.0)
    scale = scale.after(overflow=False).after(overflow=True)
    assert scale == LossScale(FIRST / 2, 0)
    for _ in range(CALM_STEPS):
        scale = scale.after(overflow=False)
    assert scale == LossScale(FIRST, 0)
    assert not LossScale(1.0).can_fall
    assert LossScale(1.0).after(overflow=True).factor == 1.0
    assert LossScale(HIGHEST, CALM_STEPS - 1).after(overflow=False).factor == HIGHEST


def test_the_factor_is_taken_out_of_the_gradients() -> None:
    torch.manual_seed(3)
    base = build_network(RRDB).eval().requires_grad_(False)
    small = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    large = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(2))
    plain, scaled = (Learner(base, "full", 2, 0, CPU) for _ in range(2))
    expected = plain.gradients(small, large, Means())
    assert scaled.gradients(small, large, Means(), scale=2.0**16) == pytest.approx(expected, rel=1e-5)
    for name, value in plain.parameters.items():
        grad = scaled.parameters[name].grad
        assert value.grad is not None
        assert grad is not None
        torch.testing.assert_close(grad, value.grad, rtol=1e-4, atol=1e-7)
    # Small gradients that float16 would lose: with the factor they arrive.
    assert math.isfinite(scaled.gradients(small, large, Means("fp16"), scale=2.0**10)[1])


@pytest.mark.slow
def test_an_overflow_is_no_strike_until_the_factor_is_one(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU with a factor as in float16; gradients overflow in the second and third step."""
    monkeypatch.setattr("luxscaler.training.steps.first_scale", lambda _: LossScale(4.0))
    true, calls = Learner.gradients, list[float]()

    def gradients(learner: Learner, *batch: Any, scale: float, **more: Any) -> tuple[float, float]:
        calls.append(scale)
        loss, norm = true(learner, *batch, scale=scale, **more)
        return loss, math.inf if len(calls) in {3, 4} else norm  # the first is the probe

    monkeypatch.setattr(Learner, "gradients", gradients)
    listener, out = Listener(), tmp_path / "out.safetensors"
    with prepared(tiny_settings(base), pictures, out, listener.events, resume=False) as job:
        trained = Run(job, listener.events).to_end()
        lines = lines_of(job.folder)
    assert calls[1:] == [4.0, 4.0, 2.0, 1.0, 1.0, 1.0]
    assert trained.position.scale.factor == 1.0
    assert (trained.position.updates, trained.position.strikes) == (4, 0)
    assert [line for line in listener.said if "overflow" in line] == [
        f"step {step}: gradients overflow in float16; the step is skipped, and the loss is multiplied by "
        f"{factor} from now on"
        for step, factor in ((2, 2), (3, 1))
    ]
    assert [line.get("scale") for line in lines if "loss" in line] == [4.0, None, None, None, None, None]
