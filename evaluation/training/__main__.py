"""The command: HDR pictures and pairs → luxscaler/hdr/gain.safetensors."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from evaluation.pictures import find
from evaluation.training.fit import FitOptions, fit
from evaluation.training.leave_out import all_samples
from luxscaler.errors import LuxScalerError
from luxscaler.hdr.network import write_weights


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit to all pictures and write; returns the exit code."""
    parser = argparse.ArgumentParser(prog="evaluation.training", description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="[GROUP=]PATH", help="a folder or picture")
    parser.add_argument("--write", type=Path, required=True, help="the file for the weights")
    parser.add_argument("--jobs", type=int, default=2, help="processes that make samples")
    parser.add_argument("--samples", type=Path, help="a file that keeps samples between runs")
    parser.add_argument("--steps", type=int, default=FitOptions.steps)
    options = parser.parse_args(arguments)
    try:
        samples = all_samples(find(options.paths), options.jobs, options.samples)
        torch.set_num_threads(1)
        write_weights(fit(samples, options=FitOptions(steps=options.steps)), options.write)
    except (LuxScalerError, OSError) as error:
        print(f"evaluation.training: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
