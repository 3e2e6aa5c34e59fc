"""The container's training: an archive of pictures → luxscaler.training → a tar of weights.

Replicate builds a version from the result, whose `model` has the choice `trained` (predict.py). Defaults and
limits are literals: Cog reads them from the source without running it.
"""

import os

from cog import BaseModel, Input, Path

from luxscaler.spinning import spin_briefly

spin_briefly()  # before PyTorch is imported, by the following

from luxscaler.pipeline.remote import FetchSettings  # noqa: E402
from luxscaler.training.container import train_archive  # noqa: E402
from luxscaler.training.settings import TrainingSettings  # noqa: E402


class TrainingOutput(BaseModel):  # type: ignore[misc] # no types
    """What Replicate takes for the result of a training."""

    weights: Path


def train(
    pictures: Path = Input(description="Your pictures: a zip or tar archive, at least five"),
    base: str = Input(description="Where it begins", default="photo", choices=["photo", "anime", "fast"]),
    method: str = Input(description="Small changes or all weights", default="lora", choices=["lora", "full"]),
    rank: int = Input(description="Rank of lora's changes", default=8, ge=1, le=128),
    steps: int = Input(description="Steps at most", default=2000, ge=1, le=1000000),
    learning_rate: float = Input(description="The highest; 0 is automatic", default=0.0, ge=0.0, le=0.1),
    batch: int = Input(description="Crops in a step; 0 is automatic", default=0, ge=0, le=256),
    crop: int = Input(description="Side of a crop of the small picture", default=48, ge=16, le=256),
    degradation: str = Input(
        description="How small pictures are made of yours",
        default="real-esrgan",
        choices=["real-esrgan", "camera", "web", "clean"],
    ),
    goal: str = Input(
        description="Near to the true pixels, or with likely detail",
        default="faithful",
        choices=["faithful", "detailed"],
    ),
    validate: float = Input(description="Share of pictures held out", default=0.1, ge=0.01, le=0.5),
    every: int = Input(description="Steps between validations", default=200, ge=1, le=1000000),
    patience: int = Input(description="Validations without a better one; 0: all", default=0, ge=0, le=10000),
    seed: int = Input(description="Of all random numbers", default=0, ge=0),
    max_minutes: float = Input(description="Ends after this time", default=60.0, ge=0.1, le=1440.0),
) -> TrainingOutput:
    """Fine-tune a network; fails with one line if it is not better than its base."""
    settings = TrainingSettings(
        base=base,
        method=method,
        rank=rank,
        steps=steps,
        lr=learning_rate or None,
        batch=batch or None,
        crop=crop,
        degradation=degradation,
        goal=goal,
        validate=validate,
        every=every,
        patience=patience,
        seed=seed,
        max_minutes=max_minutes,
    )
    reach = FetchSettings.of(os.environ).reach
    return TrainingOutput(weights=Path(train_archive(str(pictures), settings, reach)))


# As in predict.py: the server hands the URL over as it came, and LuxScaler fetches it within its own limits.
train.__annotations__["pictures"] = str
