"""The differentiable measure ranks as ColorVideoVDP does."""

import numpy as np
import pytest
import torch

from evaluation.baselines import BASELINES
from evaluation.metrics import ColorVideoVdp
from evaluation.renderings import RENDERINGS
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray
from tests.evaluation.training.test_cameras import scene

pytest.importorskip("pycvvdp", exc_type=ImportError)
from evaluation.training.visible import Visible


@pytest.mark.slow
def test_it_ranks_as_the_package_does_and_is_zero_for_the_same() -> None:
    made = [render(scene(seed)) for seed in range(3) for render in list(RENDERINGS.values())[:3]]
    methods = [BASELINES[name] for name in ("SDR untouched", "BT.2446-1 A", "pinned quartic")]
    pairs = [(method(one.sdr, 4.93), one.reference) for one in made for method in methods]
    metric, visible = ColorVideoVdp(), Visible(80, 120)
    wanted = [10 - metric(test, reference) for test, reference in pairs]

    def planes(rgb: FloatArray) -> torch.Tensor:
        return torch.from_numpy(rgb * REFERENCE_WHITE_CD_M2).permute(2, 0, 1)[None].float()

    found = [float(visible.loss(planes(t), visible.reference(planes(r)))) for t, r in pairs]
    assert np.corrcoef(wanted, found)[0, 1] > 0.9
    same = planes(pairs[0][1])
    assert float(visible.loss(same, visible.reference(same))) < 0.05
    test = planes(pairs[0][0]).requires_grad_()
    visible.loss(test, visible.reference(same)).sum().backward()  # type: ignore[no-untyped-call]
    assert test.grad is not None
    assert bool(test.grad.isfinite().all())
