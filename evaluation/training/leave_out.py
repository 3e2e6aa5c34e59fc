"""The fit of ./scripts/evaluate-hdr --leave-one-out: samples once, then a network without each part."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation.method import ours
from evaluation.pictures import Source
from evaluation.training.fit import FitOptions, fit
from evaluation.training.samples import SEED, Sample, samples_of
from luxscaler.hdr.network import GainNetwork
from luxscaler.picture import FloatArray


@dataclass(frozen=True)
class Fitted:
    """An expansion by a network of its own; picklable."""

    network: GainNetwork

    def __call__(self, sdr: FloatArray, boost: float) -> FloatArray:
        """hdr_boost as the pipeline applies it."""
        return ours(sdr, boost, self.network)


@dataclass(frozen=True)
class LeaveOut:
    """A fit to all samples but those of the pictures left out."""

    samples: Sequence[Sample]
    options: FitOptions | None = None

    def __call__(self, left_out: frozenset[str]) -> Fitted:
        """Leaves out every source whose name, without its suffix, is among those of `left_out`.

        So a picture that lies in two folders, as an EXR and in another form, is left out as both.
        """
        names = {Path(name).stem for name in left_out}
        sources = {sample.source for sample in self.samples}
        same = {source for source in sources if Path(source).stem in names}
        torch.set_num_threads(1)
        return Fitted(fit(self.samples, same, self.options))


def all_samples(sources: Sequence[Source], jobs: int, kept: Path | None) -> Sequence[Sample]:
    """The samples of all sources, from the file `kept` where it is there, else made and kept there."""
    if kept is not None and kept.is_file():
        found: list[Sample] = pickle.loads(kept.read_bytes())  # noqa: S301 (our own file)
        return found
    samples = samples_of(sources, SEED, jobs)
    if kept is not None:
        kept.write_bytes(pickle.dumps(samples))
    return samples
