"""typer's commands with a fixed order, IN... OUT in the usage line, and clearer errors for bad values."""

import os
from collections.abc import Sequence
from typing import Any

import typer

from luxscaler.cli.terminal import write_event

_AS_JSON = "luxscaler.as_json"
"""Key of a context's `meta`: whether the command line has --json."""
ORDER = (
    *("upscale", "info", "models", "weights", "train", "publish"),
    *("server", "jobs", "gateway", "doctor", "completion"),
)
"""The commands as --help lists them: those that most people need come first."""
_EXCLUSIVE = (
    ("overwrite", "skip_existing"),
    ("quiet", "verbose"),
    ("dry_run", "preview"),
    ("width", "height", "long_edge", "megapixels", "print_size"),
)
"""Options of `upscale` of which one alone can be given."""
_REFUSALS = {
    "int_": "is not a whole number",
    "float_": "is not a number",
    "bool_": "is neither true nor false",
    "greater_than_equal": "is below the least, {ge}",
    "less_than_equal": "is above the most, {le}",
}
"""What is wrong, by the beginning of pydantic's type of the error."""


def wants_json(context: Any) -> bool:
    """Whether the command line has --json, before its command is parsed."""
    return bool(context.meta.get(_AS_JSON))


class Flags:
    """Mixed into a command: its help shows no type behind an option that takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, flags without a type."""
        parameters = list(super().get_params(ctx))  # type: ignore[misc] # of the command that this is mixed into
        for one in parameters:
            if getattr(one, "is_flag", False):
                one.metavar = ""
        return parameters


def refusal(error: Exception) -> str:
    """A message for a bad value that names the value, which typer's own does not."""
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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; raises typer's usage errors."""
        ctx.meta[_AS_JSON] = "--json" in (args[: args.index("--")] if "--" in args else args)
        return list(super().parse_args(ctx, args))

    def invoke(self, ctx: Any) -> Any:
        """Call the command; errors of bad values get the message of `refusal`.

        With --json a usage error is an event too; its exit status is the same.
        """
        try:
            return super().invoke(ctx)
        except Exception as error:
            if isinstance(error, typer.BadParameter) and error.message:
                error.message = refusal(error)
            # The class of usage errors is private in typer; only Click's errors have a message of this name.
            if not wants_json(ctx) or not hasattr(error, "format_message"):
                raise
            write_event("error", kind=type(error).__name__, message=error.format_message())
            raise typer.Exit(int(getattr(error, "exit_code", 1))) from error

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in ORDER; others come last."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


class Command(Flags, typer.core.TyperCommand):
    """A command that tells a file whose name begins with a dash from an unknown option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; raises typer's usage errors."""
        given = list(args)
        try:
            return list(super().parse_args(ctx, args))
        except typer.BadParameter:
            raise
        except Exception as error:
            # The class of this error is private in typer, so it is recognised by its name.
            name = _file_among(given) if type(error).__name__ == "NoSuchOption" else None
            if name is None:
                raise
            raise typer.BadParameter(
                f"{name!r} is a file, and looks like an option: write ./{name}", ctx
            ) from error


class UpscaleCommand(Command):
    """`luxscaler upscale`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; an option on the command line overrides the user's defaults of options that exclude it."""
        left = super().parse_args(ctx, args)
        sources = {name: getattr(ctx.get_parameter_source(name), "name", "") for name in ctx.params}
        own = {parameter.name: parameter.default for parameter in self.params}
        for names in _EXCLUSIVE:
            if "COMMANDLINE" in map(sources.get, names):
                ctx.params |= {name: own[name] for name in names if sources[name] == "DEFAULT_MAP"}
        return left

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line: several IN and one OUT, which are one list for the parser."""
        return [*super().collect_usage_pieces(ctx)[:-1], "IN... OUT"]


def _file_among(words: Sequence[str]) -> str | None:
    """The first word that looks like an option and is the name of a file."""
    options = words[: words.index("--")] if "--" in words else words
    return next((word for word in options if word[:1] == "-" != word and os.path.lexists(word)), None)
