"""A training from its pictures to the best network: steps, validations, saved states, trouble.

The course of a training is a function of settings and pictures: a run that is killed and goes on from its
last state takes the same steps to the same bytes on a CPU. What a user stops in between is saved beside the
regular state, which stays the place to go back to.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from luxscaler.errors import StoppedError, TrainingError
from luxscaler.training import memory
from luxscaler.training.adversary import Adversary
from luxscaler.training.batches import Batches
from luxscaler.training.discriminator import FEATURES
from luxscaler.training.folder import write_synced
from luxscaler.training.learner import Learner, Means, learning_rate, memory_decay
from luxscaler.training.loss_scale import first_scale
from luxscaler.training.losses import Detail, adversary_weight
from luxscaler.training.prepare import Events, Prepared, Progress
from luxscaler.training.record import Record
from luxscaler.training.state import INTERRUPTED, STATE, Position, State, load, save
from luxscaler.training.validation import Scores, gain_text, is_better, rank
from luxscaler.training.validator import Validator
from luxscaler.weights.namings import StateDict
from luxscaler.words import counted

MAX_STRIKES = 3
"""Steps in a row without a finite loss after which the training goes back."""


@dataclass(frozen=True)
class Trained:
    """How a training ended."""

    position: Position
    best: StateDict
    """What changed, at its best; empty if nothing was better than the base."""
    base_scores: Scores
    cubic_scores: Scores
    best_scores: Scores | None
    learner: Learner
    ended: str
    """Why, as part of a sentence."""


class Run:
    """One training under way."""

    def __init__(self, job: Prepared, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self._job, self._events, self._clock = job, events, clock
        settings = job.settings
        self._batch = settings.batch_size(job.device.type)
        self._rate = settings.learning_rate(job.base.own.config)
        self._learner = Learner(
            job.base.own, settings.method, settings.rank, settings.seed, job.device, _detail(job)
        )
        means = Means(job.precision, settings.checkpointing == "on")
        self._position = Position(means=means, scale=first_scale(job.precision), crop=settings.crop)
        self._best: StateDict = {}
        if job.state is not None:
            self._go_to(job.state)
        self._validator = Validator(job, events.say, self._learner.forget_gradients)
        self._record = Record(job.folder, self._position.step, board=settings.tensorboard)

    def to_end(self) -> Trained:
        """Train until the steps are done, time is up or patience is over.

        Raises StoppedError when the user stops, TrainingError when it cannot go on; the state is on disk.
        """
        try:
            return self._to_end()
        finally:
            self._record.close()

    def _to_end(self) -> Trained:
        began, first = self._clock(), self._position.step
        self._probe()
        if self._job.state is None:
            self._save()  # from here on there is something to resume
        while self._position.step < self._job.settings.steps and not self._out_of_patience():
            if self._events.stop.is_set():
                raise StoppedError(self._saved_in_between())
            if self._is_late(began):
                return self._ended_early()
            self._step()
            self._tell(began, first)
            if self._position.step % self._job.settings.every == 0:
                self._keep_validated()
        if not self._position.history or self._position.history[-1]["step"] != self._position.step:
            self._keep_validated()
        reason = "the steps are done"
        if self._position.step < self._job.settings.steps:
            reason = f"no better network came in {counted(self._job.settings.patience, 'validation')}"
        return self._trained(self._position, self._best, reason)

    # One step.

    def _step(self) -> None:
        position = self._position
        found = self._gradients(position.step)
        if found is None:
            return
        loss, norm = found
        is_finite = math.isfinite(loss) and math.isfinite(norm)
        overflow = math.isfinite(loss) and not math.isfinite(norm) and position.scale.can_fall
        steps, careful = self._job.settings.steps, 0.5 if position.rolled_back else 1.0
        rate = careful * learning_rate(position.step, steps, self._rate)
        if is_finite and not self._updated(rate, memory_decay(position.updates, steps), careful):
            return
        self._position = replace(
            position,
            step=position.step + 1,
            updates=self._learner.updates,
            strikes=0 if is_finite or overflow else position.strikes + 1,
            scale=position.scale.after(overflow=overflow),
        )
        number = self._position.step
        self._loss = loss
        self._record.add({"step": number, **self._numbers(loss, norm, is_finite=is_finite), "lr": rate})
        if overflow:
            scale = self._position.scale.factor
            self._events.say(
                f"step {number}: gradients overflow in float16; the step is skipped, and the loss is "
                f"multiplied by {scale:g} from now on"
            )
        elif not is_finite:
            self._events.say(f"step {number}: the loss is not finite; the step is skipped")
            if self._position.strikes >= MAX_STRIKES:
                self._go_back()

    def _numbers(self, loss: float, norm: float, *, is_finite: bool) -> dict[str, float | None]:
        """What is recorded of a step."""
        if not is_finite:
            return {"loss": None, "norm": None}
        found: dict[str, float | None] = {"loss": loss, "norm": norm}
        if self._job.settings.goal == "detailed":
            found |= self._learner.terms
        return found | ({"scale": self._position.scale.factor} if self._position.scale.can_fall else {})

    def _gradients(self, step: int) -> tuple[float, float] | None:
        """Loss and norm; None if memory ran out, and the step has become smaller."""
        job = self._job
        seed, crop = job.settings.seed, self._position.crop
        batches = Batches(job.pictures.learn, job.recipe, job.base.scale, crop, self._batch, seed)
        weight = adversary_weight(step, job.settings.steps)
        scale = self._position.scale.factor
        try:
            batch = batches.batch(step, job.device)
            return self._learner.gradients(*batch, self._position.means, weight=weight, scale=scale)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            self._shrink(error)
            return None

    def _updated(self, rate: float, decay: float, careful: float) -> bool:
        """Whether the step was taken; if memory ran out in it, half of the network may have changed, and the
        training goes on from the last saved state with a smaller step."""
        try:
            self._learner.update(rate, decay, adversary=careful)
        except Exception as error:
            if not memory.is_out_of_memory(error):
                raise
            self._shrink(error)
            means, crop = self._position.means, self._position.crop
            self._go_to(load(self._job.folder / STATE))
            self._position = replace(self._position, means=means, crop=crop)
            self._save()
            self._events.say(f"back to step {self._position.step}, which was saved")
            return False
        return True

    def _probe(self) -> None:
        """A step that changes nothing, so that a lack of memory shows before any work."""
        while self._gradients(self._position.step) is None:
            pass
        self._learner.forget_gradients()

    def _shrink(self, error: BaseException) -> None:
        self._learner.forget_gradients()
        error.__traceback__ = None  # its frames hold the tensors that were too many
        means, crop, line = memory.smaller(
            self._position.means,
            self._position.crop,
            batch=self._batch,
            may_checkpoint=self._job.settings.checkpointing != "off",
            multiple=self._job.base.own.config.unshuffle,
        )
        self._position = replace(self._position, means=means, crop=crop)
        self._events.say(line)

    def _go_back(self) -> None:
        """To the last saved state, once, more carefully. Raises TrainingError the second time."""
        if self._position.rolled_back:
            raise TrainingError(
                f"step {self._position.step}: {MAX_STRIKES} losses in a row are not finite, and were before; "
                f"try --lr {self._rate / 10:.1g}, --precision fp32, or look for a damaged picture"
            )
        self._go_to(load(self._job.folder / STATE))
        means = replace(self._position.means, precision="fp32")
        self._position = replace(
            self._position, means=means, scale=first_scale("fp32"), rolled_back=True, strikes=0
        )
        self._save()
        self._events.say(
            f"{MAX_STRIKES} losses in a row are not finite: back to step {self._position.step}, with half "
            "the learning rate, in float32"
        )

    # Validation.

    def _keep_validated(self) -> None:
        self._position, self._best = self._validated()
        self._save()

    def _validated(self) -> tuple[Position, StateDict]:
        """The position with one more entry in its history, and the best network so far."""
        values = self._learner.averaged()
        scores, sheet = self._validator.validated(self._learner.whole(values))
        base = self._validator.base_scores
        step, goal = self._position.step, self._job.settings.goal
        entry = {"step": step, **scores.to_json()}
        self._record.add({"step": step, "validation": scores.means()})
        self._write_sheet(step, sheet)
        position = replace(self._position, history=(*self._position.history, entry))
        before = self._best_entry()
        better = is_better(scores, base, goal) and (
            before is None or rank(scores.means(), goal) > rank(before["mean"], goal)
        )
        gain = gain_text(scores.means(), base.means(), goal)
        remark = ", the best" if better else ""
        self._events.say(f"step {step}: {scores.mean('psnr'):.2f} dB, {gain} to the base{remark}")
        return (replace(position, best_step=step), values) if better else (position, self._best)

    def _best_entry(self) -> dict[str, Any] | None:
        step = self._position.best_step
        return next((entry for entry in self._position.history if entry["step"] == step), None)

    def _write_sheet(self, step: int, sheet: bytes) -> None:
        write_synced(self._job.folder / "samples" / f"{step:07d}.png", sheet)
        self._record.picture(step, sheet)

    # States and ends.

    def _save(self, name: str = STATE) -> None:
        save(self._job.folder, State(self._position, self._learner.tensors(), self._best), name)

    def _go_to(self, state: State) -> None:
        try:
            self._learner.restore(state.tensors, state.position.updates)
        except (KeyError, RuntimeError) as error:
            raise TrainingError(
                f"{self._job.folder / STATE} does not fit this network; remove the folder to begin again"
            ) from error
        self._position, self._best = state.position, state.best

    def _saved_in_between(self) -> str:
        self._save(INTERRUPTED)
        return f"stopped after step {self._position.step}; the same command with --resume goes on from there"

    def _out_of_patience(self) -> bool:
        patience = self._job.settings.patience
        return patience > 0 and self._position.since_best >= patience

    def _is_late(self, began: float) -> bool:
        limit = self._job.settings.max_minutes
        return limit is not None and self._clock() - began >= 60 * limit

    def _ended_early(self) -> Trained:
        """The state is saved first and without the last validation, so that going on changes nothing."""
        self._save(INTERRUPTED)
        position, best = self._validated()
        return self._trained(position, best, f"{self._job.settings.max_minutes:g} minutes are over")

    def _trained(self, position: Position, best: StateDict, reason: str) -> Trained:
        entry = next((each for each in position.history if each["step"] == position.best_step), None)
        scores = None if entry is None or not best else Scores(entry["pictures"])
        return Trained(
            position,
            best,
            self._validator.base_scores,
            self._validator.cubic_scores(),
            scores,
            self._learner,
            f"{reason} (step {position.step})",
        )

    def _tell(self, began: float, first: int) -> None:
        position, steps = self._position, self._job.settings.steps
        done = position.step - first
        if done <= 0:  # memory ran out in the first step, or it went back to before
            return
        left = (self._clock() - began) / done * (steps - position.step)
        latest = position.history[-1]["mean"]["psnr"] if position.history else None
        self._events.progress(Progress(position.step, steps, self._loss, latest, left))


def _detail(job: Prepared) -> Detail | None:
    """The further losses of the goal "detailed"."""
    if job.onlookers.features is None:
        return None
    return Detail(job.onlookers.features, Adversary(job.settings.seed, job.device, FEATURES))
