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
_REFUSALS = {
    "int_": "is not a whole number",
    "float_": "is not a number",
    "bool_": "is neither true nor false",
    "greater_than_equal": "is below the least, {ge}",
    "less_than_equal": "is above the most, {le}",
}
"""By the beginning of pydantic's kind of an error."""


class Flags:
    """For a command: its help shows no type behind an option that takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, flags without a type."""
        parameters = list(super().get_params(ctx))  # type: ignore[misc] # of the command that this is mixed into
        for one in parameters:
            if getattr(one, "is_flag", False):
                one.metavar = ""
        return parameters


def refusal(error: Exception) -> str:
    """What is wrong with a value, with the value: typer's own words do not name it."""
    found: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    if not found:
        return str(getattr(error, "message", None) or error)
    kind, value = str(found[0].get("type")), found[0].get("input")
    words = next((text for beginning, text in _REFUSALS.items() if kind.startswith(beginning)), None)
    if words is None:
        return f"{value!r}: {found[0].get('msg')}"
    return f"{value!r} {words.format_map(found[0].get('ctx', {}))}"


class Group(Flags, typer.core.TyperGroup):
    """The whole command, or one that has others below it."""

    def invoke(self, ctx: Any) -> Any:
        """Call the command. A value that it cannot take is named in the error."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if error.message:
                error.message = refusal(error)
            raise

    def list_commands(self, ctx: Any) -> list[str]:
        """In ORDER, and what is not in it behind."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


class Command(Flags, typer.core.TyperCommand):
    """A command. The name of a file with a dash before it is told from an option that is unknown."""

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
