"""Fixtures that several test modules share."""

import atexit
import gc
import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from luxscaler.errors import WeightsError
from luxscaler.inference.cuda import kernel_source
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.weights.feature_networks import HED_NAME, JUDGE_NAME, fetch_feature_network
from luxscaler.weights.fetch import fetch
from luxscaler.weights.store import verify, weights_folder
from tests.support.cuda_on_cpu import ALL_BITS, CpuKernels, build, build_key
from tests.support.processor_time import THOROUGH_FACTOR, ProcessorTime
from tests.support.slow import Samples

# Tests and modules are compiled once, even where PYTHONDONTWRITEBYTECODE is set: every worker and every
# process that a test starts would compile them again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Tiny networks are fastest on one thread, and OpenMP's threads spin when the machine has other work.
torch.set_num_threads(1)
# pytest listens to each logger that does not propagate, six times a test, and PyTorch has forty; that of all
# loggers is heard just as well.
for _logger in list(logging.root.manager.loggerDict.values()):
    if isinstance(_logger, logging.Logger) and _logger.name.startswith("torch"):
        _logger.propagate = True
# Time limits for single examples fail on a busy machine; seeds are fixed so that a failure repeats.
settings.register_profile("thorough", deadline=None, derandomize=True)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=20)
settings.load_profile("thorough")

# Thousands of collected tests are no garbage: the default of 700 objects costs a fifth of the collecting.
gc.set_threshold(20_000, 20, 20)

# Shells ignore Ctrl-C for what they run in the background, and children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """The inner loop looks at a fifth of the examples; the whole run at all of them."""
    is_quick = config.option.markexpr == "not slow" and config.getoption("--hypothesis-profile") is None
    if is_quick:
        settings.load_profile("quick")
    config.pluginmanager.register(Samples())
    config.pluginmanager.register(ProcessorTime(factor_of_examples=1 if is_quick else THOROUGH_FACTOR))


def pytest_collection_finish() -> None:
    """What is loaded by now stays; the garbage collector need not go through it again and again."""
    gc.freeze()
    # OpenImageIO prints pages of what the interpreter's last collection does not find. Not sooner: pytest
    # itself collects five times when it ends.
    atexit.register(gc.unfreeze)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole inner loop (`-m "not slow"`, no path named) runs on all cores, a file at a time each.

    By one worker more than there are cores: tests of servers wait (71 s on two idle cores instead of 83).
    Slow tests use all cores by themselves, measure memory or wait for the clock: they run one by one. Another
    `-n` on the command line is heeded.
    """
    options = config.option
    is_inner_loop = options.markexpr == "not slow" and config.args_source != pytest.Config.ArgsSource.ARGS
    is_worker = hasattr(config, "workerinput")
    if is_inner_loop and options.numprocesses is None and not is_worker and not options.usepdb:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        options.numprocesses = min(cores, 4) + 1
        options.dist = "loadfile"


# The configuration of whoever runs the tests is not the tests'.
os.environ["LUXSCALER_CONFIG"] = ""


@pytest.fixture(scope="session", autouse=True)
def _without_waiting_for_the_disk() -> Iterator[None]:
    """What a power cut would leave is nothing that a test sees; processes that tests start do wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: None)
        yield


ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "docs" / "sample"


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
