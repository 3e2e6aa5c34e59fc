"""A training from its pictures to the best network: steps (steps.py), validations, and how it ends.

A training is a function of settings and pictures: a run that is killed and resumed from its last state gives
the same bytes on a CPU. A state that is saved when the user stops it lies beside the regular state of the
last validation, to which the training goes back if losses are not finite.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from luxscaler.errors import StoppedError
from luxscaler.training.folder import write_synced
from luxscaler.training.learner import Learner
from luxscaler.training.prepare import Events, Prepared, Progress
from luxscaler.training.record import Record
from luxscaler.training.state import INTERRUPTED, Position
from luxscaler.training.steps import Steps
from luxscaler.training.validation import Scores, gain_text, is_better, rank
from luxscaler.training.validator import Validator
from luxscaler.weights.namings import StateDict
from luxscaler.words import counted


@dataclass(frozen=True)
class Trained:
    """How a training ended."""

    position: Position
    best: StateDict
    """The trained parameters of the best network; empty if none was better than the base."""
    base_scores: Scores
    cubic_scores: Scores
    best_scores: Scores | None
    learner: Learner
    ended: str
    """Why it ended, as part of a sentence."""


class Run:
    """One training under way."""

    def __init__(self, job: Prepared, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self._job, self._events, self._clock = job, events, clock
        self._steps = Steps(job, events.say)
        self._validator = Validator(job, events.say, self._steps.learner.forget_gradients)
        self._record = Record(job.folder, self._steps.position.step, board=job.settings.tensorboard)

    def to_end(self) -> Trained:
        """Train until the steps are done, time is up, or `patience` validations brought no better network.

        Raises StoppedError when the user stops it, TrainingError when it cannot go on; the state is on disk.
        """
        try:
            return self._to_end()
        finally:
            self._record.close()

    def _to_end(self) -> Trained:
        steps, settings = self._steps, self._job.settings
        began, first = self._clock(), steps.position.step
        steps.probe()
        if self._job.state is None:
            steps.save()  # from here on there is something to resume
        while steps.position.step < settings.steps and not self._out_of_patience():
            if self._events.stop.is_set():
                raise StoppedError(self._saved_in_between())
            if self._is_late(began):
                return self._ended_early()
            steps.step(self._record)
            self._tell(began, first)
            if steps.position.step % settings.every == 0:
                self._keep_validated()
        if not steps.position.is_validated:
            self._keep_validated()
        reason = "the steps are done"
        if steps.position.step < settings.steps:
            reason = f"no better network came in {counted(settings.patience, 'validation')}"
        return self._trained(steps.position, steps.best, reason)

    # Validation.

    def _keep_validated(self) -> None:
        self._steps.position, self._steps.best = self._validated()
        self._steps.save()

    def _validated(self) -> tuple[Position, StateDict]:
        """The position with one more entry in its history, and the best network so far."""
        before = self._steps.position
        values = self._steps.learner.averaged()
        scores, sheet = self._validator.validated(self._steps.learner.whole(values))
        base = self._validator.base_scores
        step, goal = before.step, self._job.settings.goal
        self._record.add({"step": step, "validation": scores.means()})
        self._write_sheet(step, sheet)
        position = replace(before, history=(*before.history, {"step": step, **scores.to_json()}))
        best = before.best_entry
        better = is_better(scores, base, goal) and (
            best is None or rank(scores.means(), goal) > rank(best["mean"], goal)
        )
        gain = gain_text(scores.means(), base.means(), goal)
        remark = ", the best" if better else ""
        self._events.say(f"step {step}: {scores.mean('psnr'):.2f} dB, {gain} to the base{remark}")
        return (replace(position, best_step=step), values) if better else (position, self._steps.best)

    def _write_sheet(self, step: int, sheet: bytes) -> None:
        write_synced(self._job.folder / "samples" / f"{step:07d}.png", sheet)
        self._record.picture(step, sheet)

    # Ends.

    def _saved_in_between(self) -> str:
        self._steps.save(INTERRUPTED)
        step = self._steps.position.step
        return f"stopped after step {step}; the same command with --resume goes on from there"

    def _out_of_patience(self) -> bool:
        patience = self._job.settings.patience
        return patience > 0 and self._steps.position.since_best >= patience

    def _is_late(self, began: float) -> bool:
        limit = self._job.settings.max_minutes
        return limit is not None and self._clock() - began >= 60 * limit

    def _ended_early(self) -> Trained:
        """End because time is up. The state is saved before this validation, so that resuming changes
        nothing."""
        self._steps.save(INTERRUPTED)
        position, best = self._validated()
        return self._trained(position, best, f"{self._job.settings.max_minutes:g} minutes are over")

    def _trained(self, position: Position, best: StateDict, reason: str) -> Trained:
        entry = position.best_entry
        scores = None if entry is None or not best else Scores(entry["pictures"])
        return Trained(
            position,
            best,
            self._validator.base_scores,
            self._validator.cubic_scores(),
            scores,
            self._steps.learner,
            f"{reason} (step {position.step})",
        )

    def _tell(self, began: float, first: int) -> None:
        position, steps = self._steps.position, self._job.settings.steps
        done = position.step - first
        if done <= 0:  # memory ran out in the first step, or it went back to before
            return
        left = (self._clock() - began) / done * (steps - position.step)
        latest = position.history[-1]["mean"]["psnr"] if position.history else None
        self._events.progress(Progress(position.step, steps, self._steps.loss, latest, left))
