"""What a LoRA becomes runs like any network: through `--model`, the CPU's engines and the CUDA kernels.

The unmerged network, which learned, is the truth; engines that round are as near to it as to an ordinary one.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from luxscaler.cli.main import app
from luxscaler.inference.cpu.planes import usable
from luxscaler.inference.cuda.engine import CudaRRDBNet
from luxscaler.inference.prepare import prepared
from luxscaler.io.read import read_picture
from luxscaler.networks.build import Network, NetworkConfig, build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.training.learner import Learner, Means
from luxscaler.training.similarity import psnr
from luxscaler.weights.adapter import adapter_bytes
from luxscaler.weights.catalogue import load_catalogue
from luxscaler.weights.checkpoint import safetensors_bytes
from luxscaler.weights.store import load_network
from tests.support.cuda_on_cpu import CpuKernels, needs_compiler
from tests.support.processor import DTYPES
from tests.support.training_files import picture, write_base

CPU = torch.device("cpu")
LEAST_DB = 100.0
RRDB, SRVGG = RRDBNetConfig(blocks=1), SRVGGConfig(convs=2)
"""As wide as the published ones, which is what the engines are made for."""
SMALL = torch.rand((1, 3, 12, 9), generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Files:
    """A LoRA that has learned, as it is delivered."""

    base: Path
    merged: Path
    adapter: Path
    unmerged: Learner

    def networks(self) -> tuple[Network, Network, Network]:
        """The merged file, base and adapter, the base."""
        names = (str(self.merged), f"{self.base}+{self.adapter}", str(self.base))
        merged, adapted, base = (load_network(name).own for name in names)
        return merged, adapted, base

    @torch.no_grad()
    def truth(self, x: Tensor) -> Tensor:
        """By the base with the adapter beside it, float32."""
        return self.unmerged.forward(x, Means())


def _learned(folder: Path, config: NetworkConfig, rank: int = 4, strength: float = 0.02) -> Files:
    base = load_network(write_base(folder / "base.safetensors", config))
    learner = Learner(base.own, "lora", rank, 0, CPU)
    with torch.no_grad():
        for name, value in learner.parameters.items():
            noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(len(name)))
            value.add_(strength * noise)
            learner.average[name].copy_(value)
    values = learner.averaged()
    base_path, merged, adapter = (folder / f"{name}.safetensors" for name in ("base", "merged", "adapter"))
    files = Files(base_path, merged, adapter, learner)
    arrays = {name: value.numpy() for name, value in learner.whole(values).items()}
    files.merged.write_bytes(safetensors_bytes(arrays, {}))
    files.adapter.write_bytes(adapter_bytes(learner.adapter(values, base.digest)))
    return files


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("config", [RRDB, SRVGG], ids=["rrdb", "srvgg"])
@torch.inference_mode()
def test_the_engines_of_the_processor(config: NetworkConfig, dtype: torch.dtype, tmp_path: Path) -> None:
    files = _learned(tmp_path, config)
    truth = files.truth(SMALL)
    networks = files.networks()
    engines = [prepared(network, CPU, dtype) for network in networks]
    merged, adapted, base = (engine(SMALL) for engine in engines if engine is not None)
    if isinstance(networks[0], RRDBNet):
        assert usable(networks[0])
    assert psnr(merged, adapted) >= LEAST_DB
    plain = networks[2](SMALL)
    least = LEAST_DB if dtype == torch.float32 else psnr(base, plain) - 3.0
    assert psnr(merged, truth) >= least
    assert psnr(plain, truth) < min(60.0, least)  # what was learned is in it


@pytest.mark.slow
@needs_compiler
@torch.inference_mode()
def test_the_cuda_kernels(kernels: CpuKernels, tmp_path: Path) -> None:
    """By their emulation on this processor, in float16 with float32 sums."""
    files = _learned(tmp_path, RRDB)
    small = SMALL[:, :, :5, :4]
    networks = files.networks()
    assert all(isinstance(network, RRDBNet) for network in networks)
    merged, adapted, base = (CudaRRDBNet(network, kernels)(small) for network in networks)  # type: ignore[arg-type]
    assert psnr(merged, adapted) >= LEAST_DB
    plain, truth = networks[2](small), files.truth(small)
    assert psnr(merged, truth) >= psnr(base, plain) - 3.0
    assert psnr(plain, truth) < psnr(merged, truth) - 10.0


@pytest.mark.slow
def test_through_the_command(tmp_path: Path) -> None:
    files = _learned(tmp_path, RRDBNetConfig(features=8, blocks=1, growth=4), rank=2, strength=0.3)
    small = tmp_path / "small.png"
    picture(3, 24).save(small)
    made = []
    for number, model in enumerate((files.merged, f"{files.base}+{files.adapter}", files.base)):
        target = tmp_path / f"{number}.tif"
        words = ["upscale", str(small), str(target), "--model", str(model), "--no-self-reference"]
        result = CliRunner().invoke(app, words, prog_name="luxscaler")
        assert result.exit_code == 0, result.output
        made.append(torch.from_numpy(np.array(read_picture(target).rgb)))
    merged, adapted, base = made
    assert psnr(merged, adapted) >= LEAST_DB
    assert psnr(merged, base) < 60.0
    with Image.open(small) as image:
        assert merged.shape == (4 * image.height, 4 * image.width, 3)


@pytest.mark.parametrize("name", ["fast", "anime", pytest.param("photo", marks=pytest.mark.slow)])
def test_step_zero_equals_the_base_in_the_published_sizes(name: str) -> None:
    config = next(entry.config for entry in load_catalogue() if entry.name == name)
    torch.manual_seed(4)
    base = build_network(config).eval().requires_grad_(False)
    learner = Learner(base, "lora", 2, 0, CPU)
    small = SMALL[:, :, :6, :6]
    with torch.no_grad():
        assert torch.equal(learner.forward(small, Means()), base(small))
    merged, before = learner.whole(learner.averaged()), base.state_dict()
    assert merged.keys() == before.keys()
    assert all(torch.equal(merged[key], before[key]) for key in before)
