"""A LoRA of the real `photo`: a few steps, from small crops to a plain network with its names."""

from pathlib import Path

import pytest
import torch

from luxscaler.training.learner import Learner, Means
from luxscaler.training.lora import adapted_layers
from luxscaler.training.prepare import prepared
from luxscaler.training.record import lines_of
from luxscaler.training.run import Run
from luxscaler.training.similarity import psnr
from luxscaler.weights.checkpoint import build_loaded
from luxscaler.weights.installed import FOLDER_VARIABLE
from luxscaler.weights.store import load_network
from tests.support.training_files import Listener, tiny_settings, write_pictures


@pytest.mark.slow
def test_a_lora_of_photo_learns(tmp_path: Path, real_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(real_weights))
    base = load_network("photo").own
    small = torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = base(small)
        learner = Learner(base, "lora", 2, 0, torch.device("cpu"))
        assert torch.equal(learner.forward(small, Means()), before)
    settings = tiny_settings(Path("photo"), steps=2, every=2, batch=1, lr=1e-3, degradation="real-esrgan")
    listener, pictures = Listener(), write_pictures(tmp_path / "pictures", 5, 64)
    with prepared(settings, pictures, tmp_path / "o.safetensors", listener.events, resume=False) as job:
        trained = Run(job, listener.events).to_end()
        losses = [line["loss"] for line in lines_of(job.folder) if "loss" in line]
    assert trained.position.updates == 2
    assert all(0 < loss < 1 for loss in losses)
    values = trained.learner.averaged()
    assert len(values) == 2 * len(adapted_layers(base)) == 2 * 349
    network = build_loaded(base.config, trained.learner.whole(values))
    with torch.no_grad():
        after = network(small)
    assert not torch.equal(after, before)
    assert psnr(after, before) > 25.0  # two small steps are no other network
