"""A network with what a training writes beside it, without a training."""

from pathlib import Path

import numpy as np
import safetensors.numpy

from luxscaler.training.folder import CARD, METRICS, REPORT, SAMPLES, adapter_path, folder_of


def write_trained(folder: Path, name: str = "mine", method: str = "lora") -> Path:
    """NAME.safetensors of step 6, its adapter, NAME.train with card, report and three samples."""
    model = folder / f"{name}.safetensors"
    arrays = {"conv.weight": np.arange(512, dtype=np.float32)}
    safetensors.numpy.save_file(arrays, model, {"base": "photo", "method": method, "step": "6"})
    safetensors.numpy.save_file(arrays, adapter_path(model))
    work = folder_of(model)
    (work / SAMPLES).mkdir(parents=True)
    for step in (3, 6, 9):
        (work / SAMPLES / f"{step:07d}.png").write_bytes(b"\x89PNG" + bytes([step]) * 700)
    (work / CARD).write_text(f"# {name}\n\n| | PSNR dB |\n| --- | --- |\n| trained | 27.13 |\n")
    (work / REPORT).write_text("<!doctype html>")
    (work / METRICS).write_text('{"step": 1}\n')
    (work / "state.safetensors").write_bytes(b"not published")
    return model
