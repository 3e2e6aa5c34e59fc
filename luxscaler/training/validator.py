"""Shows a network under training the held-out pictures: its scores, and a sheet beside base and cubic."""

from collections.abc import Mapping

from torch import Tensor

from luxscaler.training import samples
from luxscaler.training.prepare import Prepared
from luxscaler.training.validation import Scores, cubic, cubic_scores, network_of, questions, scores_of


class Validator:
    """The held-out pictures of one training, and what the base makes of them."""

    def __init__(self, job: Prepared) -> None:
        """Scores the base."""
        base = job.base.own
        self._config, self._device, self._judge = base.config, job.device, job.onlookers.judge
        self._questions = questions(
            job.pictures.held_out, job.recipe, job.base.scale, base.config.unshuffle, job.settings.seed
        )
        self.base_scores, self._base_pictures = scores_of(
            network_of(base.config, base.state_dict()),
            self._questions,
            self._device,
            samples.MOST_ROWS,
            self._judge,
        )

    def validated(self, state: Mapping[str, Tensor]) -> tuple[Scores, bytes]:
        """The scores of the network with this state dict, and a sheet of its first pictures as PNG."""
        network = network_of(self._config, state)
        scores, made = scores_of(network, self._questions, self._device, samples.MOST_ROWS, self._judge)
        shown = zip(self._questions, self._base_pictures, made, strict=False)
        rows = [(cubic(each.small, each.large), base, trained, each.large) for each, base, trained in shown]
        return scores, samples.sheet(rows)

    def cubic_scores(self) -> Scores:
        """The scores of a cubic enlargement."""
        return cubic_scores(self._questions, self._judge)
