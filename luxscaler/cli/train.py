"""`luxscaler train`: its options, its progress, and the figures of the result."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luxscaler.cli.publish import Wishes, check_all, publish_to
from luxscaler.cli.terminal import JsonOption, err, finite, one_line_errors, progress_bar, tell, write_event
from luxscaler.cli.weights import fetch_weights
from luxscaler.words import counted

if TYPE_CHECKING:
    from luxscaler.training.prepare import Progress
    from luxscaler.training.train import Delivered

    Say = Callable[[str], None]
    Advance = Callable[[Progress], None]

_HOW, _WORK, _PUBLISH = "How it learns", "How it works", "Publishing"


def train(
    pictures: Annotated[Path, typer.Argument(metavar="PICTURES", help="A folder of good pictures.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The trained network: .safetensors.")],
    base: Annotated[
        str, typer.Option(help="photo, anime, fast, or the path of a checkpoint: where it begins.")
    ] = "photo",
    method: Annotated[
        str, typer.Option(help="lora (small changes) or full (every parameter).", rich_help_panel=_HOW)
    ] = "lora",
    rank: Annotated[int, typer.Option(help="Rank of lora's changes, 1 to 128.", rich_help_panel=_HOW)] = 8,
    steps: Annotated[int, typer.Option(help="Steps in all.", rich_help_panel=_HOW)] = 1000,
    lr: Annotated[str, typer.Option(help="Highest learning rate, or auto.", rich_help_panel=_HOW)] = "auto",
    batch: Annotated[str, typer.Option(help="Crops in a step, or auto.", rich_help_panel=_HOW)] = "auto",
    crop: Annotated[
        int, typer.Option(help="Side of a crop in pixels of the small picture.", rich_help_panel=_HOW)
    ] = 48,
    pairs: Annotated[
        Path | None,
        typer.Option(help="A folder of small pictures with the same names.", rich_help_panel=_HOW),
    ] = None,
    degradation: Annotated[
        str,
        typer.Option(
            help="How small pictures are made: real-esrgan, camera, web, clean, or a JSON file.",
            rich_help_panel=_HOW,
        ),
    ] = "real-esrgan",
    goal: Annotated[
        str,
        typer.Option(help="faithful (to the true pixels) or detailed (an adversary).", rich_help_panel=_HOW),
    ] = "faithful",
    features: Annotated[
        str,
        typer.Option(help="For detailed: auto, vgg19 or vgg16-hed in the loss.", rich_help_panel=_HOW),
    ] = "auto",
    validate: Annotated[
        float, typer.Option(help="Share of the pictures that is held out.", rich_help_panel=_HOW)
    ] = 0.1,
    every: Annotated[
        int, typer.Option(help="Steps between validations and saved states.", rich_help_panel=_WORK)
    ] = 100,
    patience: Annotated[
        int,
        typer.Option(
            help="Validations without a better one before it ends; 0: never.", rich_help_panel=_WORK
        ),
    ] = 0,
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.", rich_help_panel=_WORK)] = "auto",
    checkpointing: Annotated[
        str,
        typer.Option(help="Compute activations again to save memory: auto, on, off.", rich_help_panel=_WORK),
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=_WORK)] = "auto",
    seed: Annotated[int, typer.Option(help="Of all random numbers.", rich_help_panel=_WORK)] = 0,
    max_minutes: Annotated[
        float | None, typer.Option(help="End after so many minutes.", rich_help_panel=_WORK)
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write for TensorBoard too.", rich_help_panel=_WORK)
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a stopped training.", rich_help_panel=_WORK)
    ] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch weights that are needed and absent.", rich_help_panel=_WORK)
    ] = False,
    push_to_hub: Annotated[
        str,
        typer.Option(
            help="OWNER/NAME at the Hugging Face Hub; HF_TOKEN has to be set.", rich_help_panel=_PUBLISH
        ),
    ] = "",
    s3: Annotated[
        str,
        typer.Option(help="s3://BUCKET/PREFIX, with AWS's environment variables.", rich_help_panel=_PUBLISH),
    ] = "",
    s3_endpoint: Annotated[
        str, typer.Option(help="URL of storage other than AWS, e.g. MinIO.", rich_help_panel=_PUBLISH)
    ] = "",
    public: Annotated[
        bool, typer.Option("--public", help="The Hub repository may be public.", rich_help_panel=_PUBLISH)
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train on `pictures` and write `target`. typer reads the options from the signature."""
    with one_line_errors(as_json=as_json):
        wishes = Wishes(push_to_hub, s3, None, s3_endpoint, public)
        destinations = wishes.destinations()
        check_all(destinations)
        from luxscaler.isolation.pool import warm_up  # noqa: PLC0415

        warm_up()  # the decoding process starts while PyTorch is imported
        from luxscaler.training.onlookers import needed_weights  # noqa: PLC0415
        from luxscaler.training.prepare import Events  # noqa: PLC0415
        from luxscaler.training.result import lines  # noqa: PLC0415
        from luxscaler.training.settings import TrainingSettings  # noqa: PLC0415
        from luxscaler.training.train import train as run  # noqa: PLC0415
        from luxscaler.weights.catalogue import known_names  # noqa: PLC0415

        settings = TrainingSettings(
            base=base,
            method=method,
            rank=rank,
            steps=steps,
            lr=None if lr == "auto" else _number("--lr", lr),
            batch=None if batch == "auto" else _whole("--batch", batch),
            crop=crop,
            pairs=pairs,
            degradation=degradation,
            goal=goal,
            features=features,
            validate=validate,
            every=every,
            patience=patience,
            precision=precision,
            checkpointing=checkpointing,
            seed=seed,
            max_minutes=max_minutes,
            device=device,
            tensorboard=tensorboard,
        )
        if fetch:
            fetch_weights(needed_weights(settings, known_names()), force=False, quiet=True, as_json=as_json)
        with (_json_lines if as_json else _bar)() as (say, advance), _stoppable() as stop:
            made = run(pictures, target, settings, Events(say, advance, stop), resume=resume)
        if as_json:
            write_event("result", **_object(made))
        else:
            for line in lines(made.trained):
                tell(line)
            beside = f", {made.adapter}" if made.adapter else ""
            step = made.trained.position.best_step
            tell(
                f"{made.model}{beside}: the best network, of step {step}; {made.trained.ended}; "
                f"report: {made.folder / 'report.html'}"
            )
        publish_to(made.model, destinations, wishes, as_json=as_json)


def _object(made: "Delivered") -> dict[str, object]:
    """What a training made as a JSON object: files, figures on the held-out pictures, remarks on them."""
    from luxscaler.training.result import remarks  # noqa: PLC0415

    trained = made.trained
    scores = {"cubic": trained.cubic_scores, "base": trained.base_scores, "trained": trained.best_scores}
    return {
        "model": made.model,
        "adapter": made.adapter,
        "report": made.folder / "report.html",
        "step": trained.position.best_step,
        "ended": trained.ended,
        "scores": {name: finite(each.means()) for name, each in scores.items() if each is not None},
        "remarks": remarks(trained),
    }


@contextmanager
def _json_lines() -> "Iterator[tuple[Say, Advance]]":
    """A way to print lines as note events, and progress as an event once a second and at the end."""
    last = float("-inf")

    def advance(progress: "Progress") -> None:
        nonlocal last
        if time.monotonic() - last >= 1.0 or progress.step == progress.steps:
            last = time.monotonic()
            write_event("progress", **finite(asdict(progress)))

    yield (lambda line: write_event("note", message=line)), advance


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither auto nor a number", param_hint=name) from None


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither auto nor a whole number", param_hint=name) from None


@contextmanager
def _bar() -> "Iterator[tuple[Say, Advance]]":
    """A way to print lines and to show progress: a bar at a terminal, else a line a minute."""
    with progress_bar() as bar:
        task = bar.add_task("reading pictures", total=None)
        last = time.monotonic()

        def say(line: str) -> None:
            tell(line, err)

        def advance(progress: "Progress") -> None:
            nonlocal last
            quality = "" if progress.psnr is None else f", {progress.psnr:.2f} dB"
            text = f"step {progress.step}, loss {progress.loss:.4f}{quality}"
            bar.update(task, description=text, completed=progress.step, total=progress.steps)
            if not err.is_terminal and time.monotonic() - last >= 60:
                last = time.monotonic()
                say(f"{text} (of {counted(progress.steps, 'step')})")

        yield say, advance


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that the training saves its state; a second one interrupts
    it."""
    stop = threading.Event()

    def ask(_signal: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        # Not print(): the signal may have interrupted another one, which a stream does not allow.
        os.write(2, b"stopping after this step\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
