"""`luxscaler completion`: what a shell needs to complete commands, options and values, as a script.

The script holds everything, so that pressing Tab does not start Python. It is made from the commands
themselves.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from luxscaler.cli.terminal import one_line_errors
from luxscaler.errors import InputError

SHELLS = ("bash", "zsh", "fish")
Choices = Mapping[tuple[str, str], tuple[str, ...]]
"""The values of options that have few, by the command's path and the option; of arguments, by ""."""
_OR_FILES = frozenset(("--model", "--base", "--degradation"))
"""Options whose value may be a file too."""


@dataclass(frozen=True)
class Node:
    """A command, or a group of commands."""

    path: str
    """Its words without "luxscaler", e.g. "weights fetch"; empty for the command itself."""
    help: str
    options: tuple[tuple[str, str, bool], ...]
    """Name, help, and whether a value follows."""
    below: tuple[str, ...]
    """Words that may follow."""


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    context: typer.Context,
) -> None:
    """Print the completion script of a shell: source it, or put it where the shell looks."""
    with one_line_errors():
        if shell not in SHELLS:
            raise InputError(f"shell is {shell!r}; it must be one of {', '.join(SHELLS)}")
        write = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
        print(write(list(_nodes(context.find_root().command)), _choices()))


def _nodes(command: Any, path: str = "") -> Iterator[Node]:
    options = tuple(
        (name, re.split(r"(?<!e\.g)\. ", parameter.help or "")[0].rstrip("."), not parameter.is_flag)
        for parameter in command.params
        if parameter.param_type_name == "option"
        for name in (*parameter.opts, *parameter.secondary_opts)
    )
    below = getattr(command, "commands", {})
    words = (command.help or "").strip().splitlines() or [""]
    yield Node(path, words[0].rstrip("."), (*options, ("--help", "Show help", False)), tuple(below))
    for name, one in below.items():
        yield from _nodes(one, f"{path} {name}".strip())


def _choices() -> Choices:
    """The values of all commands."""
    from luxscaler.console.job import JobState  # noqa: PLC0415
    from luxscaler.weights.catalogue import known_names  # noqa: PLC0415
    from luxscaler.weights.feature_networks import feature_networks  # noqa: PLC0415

    weights = (*known_names(), *feature_networks())
    found: dict[str, dict[str, tuple[str, ...]]] = {
        "upscale": _of_upscale(),
        "train": _of_train(),
        "completion": {"": SHELLS},
        "weights fetch": {"": weights},
        "weights verify": {"": weights},
        "gateway": {"--inputs": ("url", "data"), "--outputs": ("auto", "url", "data")},
        "jobs list": {"--status": tuple(JobState), "--kind": ("master", "training")},
    }
    return {(path, name): words for path, options in found.items() for name, words in options.items()}


def _of_upscale() -> dict[str, tuple[str, ...]]:
    from luxscaler.backends.choice import BACKENDS  # noqa: PLC0415
    from luxscaler.cli.displays import WAYS  # noqa: PLC0415
    from luxscaler.io.formats import FORMATS  # noqa: PLC0415
    from luxscaler.io.options import EXR_COMPRESSIONS, EXR_TYPES  # noqa: PLC0415
    from luxscaler.io.profiles import PROFILES  # noqa: PLC0415
    from luxscaler.options import DEVICES, PRECISIONS  # noqa: PLC0415
    from luxscaler.replicate.prices import DOLLARS_PER_SECOND  # noqa: PLC0415
    from luxscaler.weights.catalogue import known_names  # noqa: PLC0415

    return {
        "--model": known_names(),
        "--format": tuple(FORMATS),
        "--profile": PROFILES,
        "--wrap": ("x", "y", "xy"),
        "--overscan": ("crop", "keep"),
        "--exr-type": tuple(EXR_TYPES),
        "--exr-compression": tuple(EXR_COMPRESSIONS),
        "--avif-bits": ("10", "12"),
        "--backend": BACKENDS,
        "--hardware": tuple(DOLLARS_PER_SECOND),
        "--device": DEVICES,
        "--precision": PRECISIONS,
        "--progress": WAYS,
    }


def _of_train() -> dict[str, tuple[str, ...]]:
    from luxscaler.options import DEVICES, PRECISIONS  # noqa: PLC0415
    from luxscaler.training.degradation import PRESETS  # noqa: PLC0415
    from luxscaler.training.settings import CHECKPOINTING, FEATURES, GOALS, METHODS  # noqa: PLC0415
    from luxscaler.weights.catalogue import known_names  # noqa: PLC0415

    return {
        "--base": known_names(),
        "--method": METHODS,
        "--degradation": tuple(PRESETS),
        "--goal": GOALS,
        "--features": FEATURES,
        "--precision": PRECISIONS,
        "--checkpointing": CHECKPOINTING,
        "--device": DEVICES,
    }


def _place(nodes: list[Node], line: str) -> str:
    """Lines of a shell's `case` that find the command among the words typed so far."""
    steps = ((node.path, name) for node in nodes for name in node.below)
    return "\n".join(line.format(at=path, word=name, to=f"{path} {name}".strip()) for path, name in steps)


def _values(choices: Choices) -> Iterator[tuple[str, str, str]]:
    """Path, option and its values, of every option in `choices`."""
    return ((path, name, " ".join(words)) for (path, name), words in choices.items() if name)


def _words(nodes: list[Node], choices: Choices) -> Iterator[tuple[str, str]]:
    """Path and the words that may follow, commands or values of arguments, of those that have such."""
    for node in nodes:
        if found := node.below or choices.get((node.path, ""), ()):
            yield node.path, " ".join(found)


def _bash(nodes: list[Node], choices: Choices) -> str:
    steps = _place(nodes, '            "{at}|{word}") at="{to}" ;;')
    values = "\n".join(
        f'        "{path}|{name}") COMPREPLY=($(compgen -W "{words}" -- "$cur")); return ;;'
        for path, name, words in _values(choices)
    )
    options = "\n".join(
        f'            "{node.path}") words="{" ".join(name for name, _, _ in node.options)}" ;;'
        for node in nodes
    )
    below = "\n".join(f'            "{at}") words="{found}" ;;' for at, found in _words(nodes, choices))
    return f"""# luxscaler, for bash
_luxscaler() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" at="" words="" word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$at|$word" in
{steps}
        esac
    done
    COMPREPLY=()
    # bash takes --option=value for three words.
    if [[ "$before" == "=" ]]; then before="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
    if [[ "$cur" == "=" ]]; then cur=""; fi
    case "$at|$before" in
{values}
    esac
    if [[ "$cur" == -* ]]; then
        case "$at" in
{options}
        esac
    else
        case "$at" in
{below}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o bashdefault -o default -F _luxscaler luxscaler"""


def _quoted(text: str) -> str:
    """The text as it can stand within single quotes in zsh and fish."""
    return text.replace("\\", "").replace("'", "’")


def _zsh(nodes: list[Node], choices: Choices) -> str:
    steps = _place(nodes, '      "{at}|{word}") at="{to}" ;;')
    values = "\n".join(
        f'    "{path}|{name}") compadd -- {words};{" _files;" if name in _OR_FILES else ""} return ;;'
        for path, name, words in _values(choices)
    )
    helps = {node.path: node.help for node in nodes}
    options, below = "", ""
    for node in nodes:
        listed = " ".join(f"'{name}:{_quoted(text)}'" for name, text, _ in node.options)
        options += f'      "{node.path}") found=({listed}) ;;\n'
        if node.below:
            listed = " ".join(f"'{n}:{_quoted(helps[f'{node.path} {n}'.strip()])}'" for n in node.below)
            below += f'      "{node.path}") found=({listed}) ;;\n'
        elif words := choices.get((node.path, "")):
            below += f'      "{node.path}") compadd -- {" ".join(words)}; return ;;\n'
    return f"""#compdef luxscaler
_luxscaler() {{
  local at="" word before="${{words[CURRENT-1]}}"
  local -a found
  if [[ "${{words[CURRENT]}}" == --*=* ]]; then before="${{words[CURRENT]%%=*}}"; compset -P '*='; fi
  for word in ${{words[2,CURRENT-1]}}; do
    case "$at|$word" in
{steps}
    esac
  done
  case "$at|$before" in
{values}
  esac
  if [[ "${{words[CURRENT]}}" == --*=* ]]; then _files; return; fi
  if [[ "${{words[CURRENT]}}" == -* ]]; then
    case "$at" in
{options}    esac
  else
    case "$at" in
{below}      *) _files; return ;;
    esac
  fi
  _describe luxscaler found
}}
if [ "$funcstack[1]" = "_luxscaler" ]; then _luxscaler "$@"; else compdef _luxscaler luxscaler; fi"""


def _fish(nodes: list[Node], choices: Choices) -> str:
    lines = ["# luxscaler, for fish"]
    helps = {node.path: node.help for node in nodes}
    for node in nodes:
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in node.path.split())
        here = seen or "__fish_use_subcommand"
        if node.below:
            none_yet = f"; and not __fish_seen_subcommand_from {' '.join(node.below)}" if seen else ""
            for name in node.below:
                text = _quoted(helps[f"{node.path} {name}".strip()])
                lines.append(f"complete -c luxscaler -f -n '{here}{none_yet}' -a {name} -d '{text}'")
        for name, text, has_value in node.options:
            kind = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            value = (
                (" -r" if has_value else "")
                if name in _OR_FILES or not choices.get((node.path, name))
                else " -x"
            )
            words = f" -a '{' '.join(choices[node.path, name])}'" if (node.path, name) in choices else ""
            lines.append(f"complete -c luxscaler -n '{here}' {kind}{value}{words} -d '{_quoted(text)}'")
        if words := " ".join(choices.get((node.path, ""), ())):
            lines.append(f"complete -c luxscaler -f -n '{here}' -a '{words}'")
    return "\n".join(lines)
