"""The method that is judged, "ours": the one place that says what it is and how it is fitted."""

from typing import Protocol

import torch

from evaluation.expansion import Expansion
from luxscaler.hdr.expand import ToneStatistics, expand
from luxscaler.hdr.network import GainNetwork
from luxscaler.picture import FloatArray

OURS = "LuxScaler"


class Fit(Protocol):
    """Fits the method's parameters to all training pictures but some."""

    def __call__(self, left_out: frozenset[str]) -> Expansion:
        """Fit without the pictures named (`Source.name`), in whatever form: whole, cut, reduced.

        The expansion must be picklable, for other processes apply it: a function of a module, a
        functools.partial of one, or an object of a class of a module.
        """


def ours(sdr: FloatArray, boost: float, network: GainNetwork | None = None) -> FloatArray:
    """hdr_boost as the pipeline applies it, with the picture's own statistics.

    network: another than the shipped one.
    """
    tensor = torch.from_numpy(sdr)
    return expand(tensor, boost, ToneStatistics.of(tensor), network=network).numpy()
