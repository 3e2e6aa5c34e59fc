"""The user's own defaults for options: a configuration file, and variables of the environment.

    command line  >  LUXSCALER_UPSCALE_MODEL=fast  >  [upscale] model = "fast"  >  the option's default

The file is config.toml in the user's configuration folder (~/.config/luxscaler on Linux), or the one that
LUXSCALER_CONFIG names; if that variable is empty, no file is read. The file has a table for each command and
in it a key for each option, without its dashes. A key or a variable that stands for no option is an error, so
that a misspelt one is not silently ignored.
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomllib

from luxscaler.cli.commands import refusal
from luxscaler.errors import InputError

PREFIX = "LUXSCALER"
FILE_VARIABLE = "LUXSCALER_CONFIG"
OTHER_VARIABLES = frozenset(
    (
        *(FILE_VARIABLE, "LUXSCALER_WEIGHTS", "LUXSCALER_CUDA_KERNELS", "LUXSCALER_FETCH_ALLOW"),
        *("LUXSCALER_GATEWAY_TOKEN", "LUXSCALER_CONSOLE_PASSWORD"),
    )
)
"""Variables that stand for no option."""
_NOT_OPTIONS = frozenset(("help",))


def config_path(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The path of the configuration file, None for none. Only one that LUXSCALER_CONFIG names has to
    exist."""
    named = environ.get(FILE_VARIABLE)
    if named is not None:
        return Path(named).expanduser() if named else None
    from platformdirs import user_config_path  # noqa: PLC0415

    return user_config_path("luxscaler") / "config.toml"


def default_map(group: Any, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Click's default_map for the commands of `group`: the file's values, and over them the environment's.

    Raises InputError for a key or a variable that stands for no option, and for a value that it cannot have.
    """
    path = config_path(environ)
    found = {} if path is None else _of_group(group, _tables(path, environ), str(path), "")
    variables = tuple(_variables(group, PREFIX, ()))
    for name, place, parameter, command in variables:
        if (text := environ.get(name)) is not None:
            value = text.split() if parameter.multiple else text
            _check(parameter, _context(command), value, f"the environment has {name}={text}")
            table = found
            for part in place:
                table = table.setdefault(part, {})
            table[parameter.name] = value
    bare = {_bare(name, place): name for name, place, *_ in variables if place != ("upscale",)}
    bare |= {_bare(name, place): name for name, place, *_ in variables if place == ("upscale",)}
    _check_environment(group, {name for name, *_ in variables} | OTHER_VARIABLES, bare, environ)
    return found


def _tables(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The file's content, empty where there is no file. Raises InputError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if FILE_VARIABLE in environ:
            raise InputError(f"{FILE_VARIABLE} is {str(path)!r}, which does not exist") from None
        return {}
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the configuration {str(path)!r} is no TOML: {error}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"the configuration {str(path)!r} cannot be read: {reason}") from error


def _of_group(group: Any, tables: Mapping[str, Any], path: str, place: str) -> dict[str, Any]:
    """The defaults of each command that has a table."""
    found = {}
    for name, value in tables.items():
        beginning = f"the configuration {path!r} has a table {place + name!r}"
        if not isinstance(value, Mapping):
            table = (
                f"[{place + name}]"
                if name in group.commands
                else "the table of its command, such as [upscale]"
            )
            raise InputError(f"the configuration {path!r} has a key {place + name!r} outside of {table}")
        if name not in group.commands:
            raise InputError(_unknown(beginning, name, group.commands, "command"))
        command = group.commands[name]
        make = _of_group if hasattr(command, "commands") else _of_command
        found[name] = make(command, value, path, f"{place}{name}.")
    return found


def _of_command(command: Any, values: Mapping[str, Any], path: str, place: str) -> dict[str, Any]:
    """Values by the names of the command's parameters, checked as the command line checks them."""
    context = _context(command)
    options = {option: parameter for parameter in _options(command) for option in _names(parameter)}
    found = {}
    for key, value in values.items():
        beginning = f"the configuration {path!r} has a key {place + key!r}"
        if key not in options:
            raise InputError(_unknown(beginning, key, options, "option"))
        taken = [value] if options[key].multiple and isinstance(value, str) else value
        _check(options[key], context, taken, f"{beginning} = {value!r}")
        found[options[key].name] = taken
    return found


def _check(parameter: Any, context: Any, value: Any, beginning: str) -> None:
    try:
        parameter.process_value(context, value)
    except Exception as error:  # noqa: BLE001, RUF100 - Click's own errors, and whatever a type makes of it
        raise InputError(f"{beginning}: {refusal(error)}") from error


def _check_environment(
    group: Any, known: Iterable[str], bare: Mapping[str, str], environ: Mapping[str, str]
) -> None:
    """Raise InputError for a variable that stands for no option.

    bare: variables that lack the command's name, and the variable that is probably meant.
    """
    beginnings = tuple(f"{PREFIX}_{name.upper()}_" for name in group.commands)
    for name in environ:
        if name in bare and name not in known:
            raise InputError(f"the environment has {name}, which names no command: write {bare[name]}")
        if name.startswith(beginnings) and name not in known:
            raise InputError(_unknown(f"the environment has {name}", name, known, "option"))


def _variables(
    command: Any, prefix: str, place: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...], Any, Any]]:
    """Name, place in default_map, parameter and command of each variable: LUXSCALER_COMMAND_OPTION."""
    below = getattr(command, "commands", None)
    if below is None:
        for parameter in _options(command):
            for option in _names(parameter):
                yield f"{prefix}_{option.upper().replace('-', '_')}", place, parameter, command
        return
    for name, one in below.items():
        yield from _variables(one, f"{prefix}_{name.upper().replace('-', '_')}", (*place, name))


def _bare(name: str, place: tuple[str, ...]) -> str:
    """LUXSCALER_OPTION of LUXSCALER_COMMAND_OPTION."""
    return name.replace("_".join(("", *place)).upper().replace("-", "_"), "", 1)


def _context(command: Any) -> Any:
    return command.make_context(command.name, [], resilient_parsing=True)


def _options(command: Any) -> Iterator[Any]:
    return (one for one in command.params if one.param_type_name == "option" and one.name not in _NOT_OPTIONS)


def _names(parameter: Any) -> Iterator[str]:
    return (name.removeprefix("--") for name in parameter.opts if name.startswith("--"))


def _unknown(beginning: str, name: str, known: Iterable[str], what: str) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"{beginning}, which stands for no {what}" + (f"; did you mean {near[0]!r}?" if near else "")
