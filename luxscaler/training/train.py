"""One training, from a folder of pictures to files: the model, its adapter, its report."""

from dataclasses import dataclass
from pathlib import Path

from luxscaler.errors import TrainingError
from luxscaler.training import memory
from luxscaler.training.folder import CARD, REPORT, adapter_path, write_synced
from luxscaler.training.page import page
from luxscaler.training.prepare import Events, Prepared, prepared
from luxscaler.training.result import card
from luxscaler.training.run import Run, Trained
from luxscaler.training.settings import TrainingSettings
from luxscaler.training.validation import MOST_LOST_DB, rank
from luxscaler.weights.adapter import adapter_bytes
from luxscaler.weights.checkpoint import safetensors_bytes


@dataclass(frozen=True)
class Delivered:
    """What a training made."""

    model: Path
    adapter: Path | None
    """Beside the model; None after full training."""
    folder: Path
    """OUT.train, with the report, the card, the samples, the log and the state."""
    trained: Trained


def train(
    pictures: Path, target: Path, settings: TrainingSettings, events: Events, *, resume: bool = False
) -> Delivered:
    """Train on a folder of pictures, and write the best network to `target` (.safetensors).

    resume: go on with a training of this target that was stopped or killed. Raises InputError and
    WeightsError for what is asked, StoppedError when the user stops, and TrainingError: among others if no
    network of the training was better than the base on the held-out pictures; then no model is written.
    """
    with prepared(settings, pictures, target, events, resume=resume) as job:
        with memory.advised():  # e.g. a network that does not fit at all
            trained = Run(job, events).to_end()
        write_synced(job.folder / REPORT, page(job, trained).encode())
        if trained.best_scores is None:
            raise TrainingError(_not_better(job, trained))
        return _deliver(job, trained)


def _not_better(job: Prepared, trained: Trained) -> str:
    goal, base = job.settings.goal, trained.base_scores.means()
    means = [entry["mean"] for entry in trained.position.history]
    if goal == "detailed":
        best = max(means, key=lambda each: rank(each, goal))
        what = (
            f"the judge's distance is {best['judge']:.4f} at best, with {best['psnr']:.2f} dB, and the "
            f"base's {base['judge']:.4f} with {base['psnr']:.2f} dB; it must be 1 % smaller and cost at most "
            f"{MOST_LOST_DB:g} dB"
        )
    else:
        what = (
            f"{max(each['psnr'] for each in means):.2f} dB at best on held-out pictures "
            f"(at the end {means[-1]['psnr']:.2f}), {job.settings.base} has {base['psnr']:.2f}"
        )
    return (
        f"no network of this training is better than its base: {what}; {job.target.name} is not written "
        f"({job.folder / REPORT})"
    )


def _deliver(job: Prepared, trained: Trained) -> Delivered:
    settings, learner = job.settings, trained.learner
    about = {
        "base": job.base.name,
        "base_sha256": job.base.digest,
        "method": settings.method,
        "goal": settings.goal,
        "step": str(trained.position.best_step),
        "writer": "luxscaler train",
    }
    adapter = None
    if learner.adapted:
        adapter = adapter_path(job.target)
        write_synced(adapter, adapter_bytes(learner.adapter(trained.best, job.base.digest), about))
    arrays = {name: value.numpy() for name, value in learner.whole(trained.best).items()}
    write_synced(job.target, safetensors_bytes(arrays, about))
    write_synced(job.folder / CARD, card(job, trained).encode())
    return Delivered(job.target, adapter, job.folder, trained)
