"""How the tests are run: which, by how many processes, on how many examples."""

import atexit
import gc
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.examples import leave_out_constants_of_the_code
from tests.support.processor_time import THOROUGH_FACTOR, ProcessorTime
from tests.support.short_reports import ShortReports
from tests.support.slow import Samples

# Tests and modules are compiled once, even where PYTHONDONTWRITEBYTECODE is set: every worker and every
# process that a test starts would compile them again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Time limits for single examples fail on a busy machine; seeds are fixed so that a failure repeats.
settings.register_profile("thorough", deadline=None, derandomize=True)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=10)
settings.load_profile("thorough")

# Thousands of collected tests are no garbage: to look for some costs a fifth of the collecting. Afterwards
# the default of 700 objects would still cost.
gc.disable()
gc.set_threshold(20_000, 20, 20)

# Shells ignore Ctrl-C for what they run in the background, and children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """The inner loop looks at a tenth of the examples; the whole run at all of them."""
    is_quick = config.option.markexpr == "not slow" and config.getoption("--hypothesis-profile") is None
    if is_quick:
        settings.load_profile("quick")
        leave_out_constants_of_the_code()
    is_worker = hasattr(config, "workerinput")
    if is_worker or not config.option.numprocesses:
        config.pluginmanager.import_plugin("tests.support.fixtures")
    if is_worker:
        config.pluginmanager.register(ShortReports())
        # A worker has told all its results before it ends. To take its modules and tests apart, object by
        # object, took every worker 5 s.
        atexit.register(os._exit, 0)
    config.pluginmanager.register(Samples())
    config.pluginmanager.register(ProcessorTime(factor_of_examples=1 if is_quick else THOROUGH_FACTOR))


def pytest_collection_finish() -> None:
    """What is loaded by now stays; the garbage collector need not go through it again and again."""
    gc.freeze()
    gc.enable()
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


ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "docs" / "sample"
