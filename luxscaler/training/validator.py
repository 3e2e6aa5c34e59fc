"""Validates a network under training: its scores on the held-out pictures, and a sheet beside base and cubic.

If memory runs out on a GPU, validations run on the CPU from then on.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from luxscaler.networks.build import Network
from luxscaler.training import memory, samples
from luxscaler.training.prepare import Prepared
from luxscaler.training.validation import Scores, cubic, cubic_scores, network_of, questions, scores_of


class Validator:
    """The held-out pictures of one training, and the base's scores on them."""

    def __init__(self, job: Prepared, say: Callable[[str], None], free: Callable[[], None]) -> None:
        """Score the base. say: called with a line for the user. free: called to free memory when it runs
        out."""
        base = job.base.own
        self._config, self._device, self._judge = base.config, job.device, job.onlookers.judge
        self._say, self._free = say, free
        self._questions = questions(
            job.pictures.held_out, job.recipe, job.base.scale, base.config.unshuffle, job.settings.seed
        )
        self.base_scores, self._base_pictures = self._scores(network_of(base.config, base.state_dict()))

    def validated(self, state: Mapping[str, Tensor]) -> tuple[Scores, bytes]:
        """The scores of the network with this state dict, and a sheet of its first pictures as PNG.

        Raises TrainingError with advice where memory runs out on the processor, too.
        """
        scores, made = self._scores(network_of(self._config, state))
        shown = zip(self._questions, self._base_pictures, made, strict=False)
        rows = [(cubic(each.small, each.large), base, trained, each.large) for each, base, trained in shown]
        return scores, samples.sheet(rows)

    def cubic_scores(self) -> Scores:
        """The scores of a cubic enlargement."""
        return cubic_scores(self._questions, self._judge)

    def _scores(self, network: Network) -> tuple[Scores, list[Tensor]]:
        """Scores and first pictures."""
        try:
            return scores_of(network, self._questions, self._device, samples.MOST_ROWS, self._judge)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            error.__traceback__ = None  # its frames hold the tensors that were too many
        self._free()
        self._device = torch.device("cpu")
        self._say("memory ran out in a validation: the processor makes it from now on")
        with memory.advised():
            return scores_of(network, self._questions, self._device, samples.MOST_ROWS, self._judge)
