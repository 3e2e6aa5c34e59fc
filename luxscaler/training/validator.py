"""The validations of a training: the same questions each time, on the processor where memory runs out."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from luxscaler.networks.build import Network
from luxscaler.training import memory
from luxscaler.training.judge import Judge
from luxscaler.training.samples import MOST_ROWS
from luxscaler.training.validation import Question, Scores, scores_of


class Validator:
    """Scores networks on the held-out pictures.

    say: told a line for the user. free: frees what can be made again, when memory runs out.
    """

    def __init__(
        self,
        asked: Sequence[Question],
        device: torch.device,
        judge: Judge | None,
        say: Callable[[str], None],
        free: Callable[[], None],
    ) -> None:
        self._questions, self._device, self._judge = asked, device, judge
        self._say, self._free = say, free

    def scores(self, network: Network) -> tuple[Scores, list[Tensor]]:
        """Scores and first pictures; if memory runs out, on the processor from then on.

        Raises TrainingError with advice where memory runs out there, too.
        """
        try:
            return scores_of(network, self._questions, self._device, MOST_ROWS, self._judge)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            error.__traceback__ = None  # its frames hold the tensors that were too many
        self._free()
        self._device = torch.device("cpu")
        self._say("memory ran out in a validation: the processor makes it from now on")
        with memory.advised():
            return scores_of(network, self._questions, self._device, MOST_ROWS, self._judge)
