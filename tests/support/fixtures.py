"""What a process that runs tests needs: fixtures of several rooms, and PyTorch set up for tiny networks.

The process that hands tests out to others does without, and begins two seconds sooner.
"""

import logging
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from functools import cache, partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import httpx
import pytest
import torch

from luxscaler.errors import WeightsError
from luxscaler.inference.cuda import kernel_source
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.weights.feature_networks import HED_NAME, JUDGE_NAME, fetch_feature_network
from luxscaler.weights.fetch import fetch
from luxscaler.weights.installed import verify, weights_folder
from tests.support.cuda_on_cpu import ALL_BITS, CpuKernels, build, build_key
from tests.support.deferred import defer_what_no_test_uses
from tests.support.impatient_database import ImpatientDatabase

# Tiny networks are fastest on one thread, and OpenMP's threads spin when the machine has other work.
torch.set_num_threads(1)
defer_what_no_test_uses()
# httpcore looks through all folders of packages for it, several times a request.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]
# pytest listens to each logger that does not propagate, six times a test, and PyTorch has forty; that of all
# loggers is heard just as well.
for _logger in list(logging.root.manager.loggerDict.values()):
    if isinstance(_logger, logging.Logger) and _logger.name.startswith("torch"):
        _logger.propagate = True


@pytest.fixture(scope="session", autouse=True)
def _without_waiting_for_the_disk() -> Iterator[None]:
    """What a power cut would leave is nothing that a test sees; processes that tests start do wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: None)
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=ImpatientDatabase))
        yield


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_loaded_once() -> Iterator[None]:
    """Each client of httpx would load them again, for more processor time than most tests take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))
        yield


_numbers = count()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new folder, as pytest's; but that lists the folders of all tests before, and links to the newest."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = tmp_path_factory.getbasetemp() / f"{name}{next(_numbers)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session")
def real_weights() -> Path:
    """A folder with the real weights of all three models, verified; ./scripts/test has fetched them."""
    folder = weights_folder()
    try:
        verify(folder=folder)
    except WeightsError:
        fetch(folder=folder)
    return folder


@pytest.fixture(scope="session")
def real_feature_networks() -> Path:
    """A folder with the real weights of the judge and of the smaller feature network, verified."""
    folder = weights_folder()
    for name in (HED_NAME, JUDGE_NAME):
        fetch_feature_network(name, folder)
    return folder


@pytest.fixture
def private_weights(real_weights: Path, tmp_path: Path) -> Path:
    """A copy of the real weights that a test may damage."""
    copy = tmp_path / "weights"
    shutil.copytree(real_weights, copy)
    return copy


@pytest.fixture
def tiny_network() -> RRDBNet:
    """A seeded random RRDBNet, small enough for milliseconds."""
    torch.manual_seed(7)
    network = build_network(RRDBNetConfig(features=8, blocks=1, growth=4))
    assert isinstance(network, RRDBNet)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def cpu_library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CUDA kernels for float16 compiled for this processor; for tests that are `needs_compiler`."""
    return _cuda_on_cpu(request, tmp_path_factory, parts=1)


@pytest.fixture(scope="session")
def cpu_library_of_float32(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for float32."""
    return _cuda_on_cpu(request, tmp_path_factory, parts=2)


def _cuda_on_cpu(request: pytest.FixtureRequest, folders: pytest.TempPathFactory, parts: int) -> Path:
    """pytest's cache keeps the library until a source, the compiler or the processor is another."""
    body = kernel_source.body(parts)
    if not hasattr(request.config, "cache") or request.config.cache is None:
        return build(folders.mktemp("cuda_on_cpu"), body)
    kept = request.config.cache.mkdir(f"cuda_on_cpu_{parts}") / f"{build_key(parts)}.so"
    if not kept.exists():
        for old in kept.parent.iterdir():
            old.unlink(missing_ok=True)
        fresh = shutil.copy(build(folders.mktemp("cuda_on_cpu"), body), kept.with_suffix(f".{os.getpid()}"))
        Path(fresh).replace(kept)  # whole or not at all, should two sessions build it at once
    return kept


@pytest.fixture
def kernels(cpu_library: Path) -> CpuKernels:
    """This processor in place of a CUDA device, in float16."""
    return CpuKernels(cpu_library)


@pytest.fixture
def float32_kernels(cpu_library_of_float32: Path) -> CpuKernels:
    """This processor in place of a CUDA device, in float32, sums rounded toward zero as tensor cores do."""
    return CpuKernels(cpu_library_of_float32, parts=2, guard_bits=ALL_BITS)
