"""What typer's commands lack here: an order that helps, IN and OUT as they are, names with a dash."""

import os
from collections.abc import Sequence
from typing import Any

import typer

ORDER = (
    *("upscale", "info", "models", "weights", "train", "publish"),
    *("server", "jobs", "gateway", "doctor", "completion"),
)
"""What most people want first."""


class Group(typer.core.TyperGroup):
    """The whole command."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In ORDER, and what is not in it behind."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


class Command(typer.core.TyperCommand):
    """A command that reads files: a name with a dash before it is told from an option that is unknown."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; raises typer's usage errors."""
        given = list(args)
        try:
            return list(super().parse_args(ctx, args))
        except typer.BadParameter:
            raise
        except Exception as error:
            # typer brings the class of this error with it, under a private name.
            name = _file_among(given) if type(error).__name__ == "NoSuchOption" else None
            if name is None:
                raise
            raise typer.BadParameter(
                f"{name!r} is a file, and looks like an option: write ./{name}", ctx
            ) from error


class UpscaleCommand(Command):
    """`luxscaler upscale`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Several IN and one OUT, which for the parser are one list."""
        return [*super().collect_usage_pieces(ctx)[:-1], "IN... OUT"]


def _file_among(words: Sequence[str]) -> str | None:
    """The first word that looks like an option and is the name of a file."""
    options = words[: words.index("--")] if "--" in words else words
    return next((word for word in options if word[:1] == "-" != word and os.path.lexists(word)), None)
