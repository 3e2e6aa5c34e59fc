"""The steps of a training: gradients, updates, and what is done when memory runs out or a loss is not finite.

`Steps` owns what changes from step to step: the network that learns, the position, the best network so far,
and their state on disk.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from luxscaler.errors import TrainingError
from luxscaler.training import memory
from luxscaler.training.adversary import Adversary
from luxscaler.training.batches import Batches
from luxscaler.training.discriminator import FEATURES
from luxscaler.training.learner import Learner, Means, ema_decay, learning_rate
from luxscaler.training.loss_scale import first_scale
from luxscaler.training.losses import Detail, adversary_weight
from luxscaler.training.prepare import Prepared
from luxscaler.training.record import Record
from luxscaler.training.state import STATE, Position, State, load, save
from luxscaler.weights.namings import StateDict

MAX_STRIKES = 3
"""Steps in a row without a finite loss after which the training goes back to its last saved state."""


class Steps:
    """The network that learns, and its position in the training."""

    def __init__(self, job: Prepared, say: Callable[[str], None]) -> None:
        """Begin at the job's state, if it has one. say: called with a line about whatever is unusual.

        Raises TrainingError if the state is of another network.
        """
        self._job, self._say = job, say
        settings = job.settings
        self._batch = settings.batch_size(job.device.type)
        self._rate = settings.learning_rate(job.base.own.config)
        self.learner = Learner(
            job.base.own, settings.method, settings.rank, settings.seed, job.device, _detail(job)
        )
        means = Means(job.precision, settings.checkpointing == "on")
        self.position = Position(means=means, scale=first_scale(job.precision), crop=settings.crop)
        self.best: StateDict = {}
        """The moving average at its best validation; empty if none was better than the base."""
        self.loss = math.nan
        """The loss of the last step."""
        if job.state is not None:
            self._go_to(job.state)

    def probe(self) -> None:
        """Compute a step's gradients and drop them, so that a lack of memory shows before any work."""
        while self._gradients(self.position.step) is None:
            pass
        self.learner.forget_gradients()

    def step(self, record: Record) -> None:
        """Take the next step, and record it. Where memory runs out, the step becomes smaller instead.

        Raises TrainingError if losses are not finite even after going back once.
        """
        position = self.position
        found = self._gradients(position.step)
        if found is None:
            return
        loss, norm = found
        is_finite = math.isfinite(loss) and math.isfinite(norm)
        overflow = math.isfinite(loss) and not math.isfinite(norm) and position.scale.can_fall
        steps, careful = self._job.settings.steps, 0.5 if position.rolled_back else 1.0
        rate = careful * learning_rate(position.step, steps, self._rate)
        if is_finite and not self._updated(rate, ema_decay(position.updates, steps), careful):
            return
        self.position = replace(
            position,
            step=position.step + 1,
            updates=self.learner.updates,
            strikes=0 if is_finite or overflow else position.strikes + 1,
            scale=position.scale.after(overflow=overflow),
        )
        self.loss = loss
        numbers = self._numbers(loss, norm, is_finite=is_finite)
        record.add({"step": self.position.step, **numbers, "lr": rate})
        if not is_finite:
            self._skipped(overflow=overflow)

    def _skipped(self, *, overflow: bool) -> None:
        """Say why a step changed nothing; go back after MAX_STRIKES of them. overflow: of float16 alone."""
        position = self.position
        if overflow:
            self._say(
                f"step {position.step}: gradients overflow in float16; the step is skipped, and the loss is "
                f"multiplied by {position.scale.factor:g} from now on"
            )
            return
        self._say(f"step {position.step}: the loss is not finite; the step is skipped")
        if position.strikes >= MAX_STRIKES:
            self._go_back()

    def _numbers(self, loss: float, norm: float, *, is_finite: bool) -> dict[str, float | None]:
        """What is recorded of a step."""
        if not is_finite:
            return {"loss": None, "norm": None}
        found: dict[str, float | None] = {"loss": loss, "norm": norm}
        if self._job.settings.goal == "detailed":
            found |= self.learner.terms
        return found | ({"scale": self.position.scale.factor} if self.position.scale.can_fall else {})

    def _gradients(self, step: int) -> tuple[float, float] | None:
        """The loss and the norm of its gradients; None if memory ran out and the step was made smaller."""
        job = self._job
        seed, crop = job.settings.seed, self.position.crop
        batches = Batches(job.pictures.learn, job.recipe, job.base.scale, crop, self._batch, seed)
        weight = adversary_weight(step, job.settings.steps)
        scale = self.position.scale.factor
        try:
            batch = batches.batch(step, job.device)
            return self.learner.gradients(*batch, self.position.means, weight=weight, scale=scale)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            self._shrink(error)
            return None

    def _updated(self, rate: float, decay: float, careful: float) -> bool:
        """Update the network. Returns whether that worked.

        If memory runs out, half of the network may have changed already, so the training goes back to the
        last saved state, with a smaller step.
        """
        try:
            self.learner.update(rate, decay, adversary=careful)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            self._shrink(error)
            means, crop = self.position.means, self.position.crop
            self._go_to(load(self._job.folder / STATE))
            self.position = replace(self.position, means=means, crop=crop)
            self.save()
            self._say(f"back to step {self.position.step}, which was saved")
            return False
        return True

    def _shrink(self, error: BaseException) -> None:
        self.learner.forget_gradients()
        error.__traceback__ = None  # its frames hold the tensors that were too many
        means, crop, line = memory.smaller(
            self.position.means,
            self.position.crop,
            batch=self._batch,
            may_checkpoint=self._job.settings.checkpointing != "off",
            multiple=self._job.base.own.config.unshuffle,
        )
        self.position = replace(self.position, means=means, crop=crop)
        self._say(line)

    def _go_back(self) -> None:
        """Go back to the last saved state, with half the rate and in float32. Raises TrainingError the second
        time."""
        if self.position.rolled_back:
            raise TrainingError(
                f"step {self.position.step}: {MAX_STRIKES} losses in a row are not finite, and were before; "
                f"try --lr {self._rate / 10:.1g}, --precision fp32, or look for a damaged picture"
            )
        self._go_to(load(self._job.folder / STATE))
        means = replace(self.position.means, precision="fp32")
        self.position = replace(
            self.position, means=means, scale=first_scale("fp32"), rolled_back=True, strikes=0
        )
        self.save()
        self._say(
            f"{MAX_STRIKES} losses in a row are not finite: back to step {self.position.step}, with half "
            "the learning rate, in float32"
        )

    def save(self, name: str = STATE) -> None:
        """Write the state of this moment into the training's folder. Raises TrainingError."""
        save(self._job.folder, State(self.position, self.learner.tensors(), self.best), name)

    def _go_to(self, state: State) -> None:
        try:
            self.learner.restore(state.tensors, state.position.updates)
        except (KeyError, RuntimeError) as error:
            raise TrainingError(
                f"{self._job.folder / STATE} does not fit this network; remove the folder to begin again"
            ) from error
        self.position, self.best = state.position, state.best


def _detail(job: Prepared) -> Detail | None:
    """The further losses of the goal "detailed"."""
    if job.onlookers.features is None:
        return None
    return Detail(job.onlookers.features, Adversary(job.settings.seed, job.device, FEATURES))
