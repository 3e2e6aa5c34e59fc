"""The documents say what is there: commands, options, links, files. Nothing is run."""

import ast
import os
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from luxscaler.cli.main import app
from luxscaler.io.formats import FORMATS, SUFFIXES
from tests.conftest import ROOT
from tests.test_structure import FLOORS

README = ROOT / "README.md"
DOCS = ROOT / "docs"
WITH_COMMANDS = [README, *sorted(DOCS.glob("*.md")), ROOT / "examples" / "orchestrator" / "README.md"]
WITH_LINKS = [
    *WITH_COMMANDS,
    ROOT / "CHANGELOG.md",
    ROOT / "weights" / "README.md",
    DOCS / "sample" / "README.md",
]
NOT_RUNNABLE = {
    "curl -s localhost:5000/predictions": "needs ./scripts/serve; tests/container asks the real server",
    "pip install": "installs; tests/packaging holds what is installed",
    "npx wrangler dev": "Cloudflare's tool; test_worker_example.py runs the Worker in miniflare",
    "cd examples/orchestrator": "only changes the folder; test_links holds that it exists",
    "export": "sets a variable",
    "python -m pytest": "runs tests; test_files_that_are_named_exist holds that they exist",
}
"""Beginnings of commands that are neither `luxscaler` nor a script, and why they are not checked further."""
NAMES_OF_EXAMPLES = {"results.json", "report.html", "master.html", "out.html"}
"""Files that commands write."""
SUFFIXES_OF_THE_PACKAGE = {".py", ".cuh", ".html", ".css", ".js", ".json", ".typed"}


def _blocks(path: Path, *languages: str) -> Iterator[str]:
    fences = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for language, text in fences.findall(path.read_text("utf-8")):
        if language in languages:
            yield text


def _commands(path: Path) -> Iterator[list[str]]:
    """Each command of the document's shell blocks as words; what `&&` joins, apart."""
    for block in _blocks(path, "sh", "console"):
        waiting = ""
        for line in block.splitlines():
            waiting += line.removeprefix("$ ")
            try:
                words = shlex.split(waiting.removesuffix("\\"), comments=True)
            except ValueError:  # an open quotation: it goes on in the next line
                waiting += "\n"
                continue
            if waiting.endswith("\\"):
                waiting = waiting[:-1]
                continue
            waiting = ""
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                yield _bare(words[:end])
                words = words[end + 1 :]
        assert not waiting, f"{path.name}: {waiting}"


def _bare(words: list[str]) -> list[str]:
    """Without variables before the command and without the virtual environment's folder."""
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return [words[0].removeprefix(".venv/bin/"), *words[1:]] if words else []


def _all_commands() -> list[tuple[str, list[str]]]:
    return [(path.name, words) for path in WITH_COMMANDS for words in _commands(path) if words]


_top = cache(lambda: get_command(app))
"""The whole command: to put it together takes as long as many a test."""


def _sub_command(words: list[str]) -> tuple[typer.core.TyperCommand, list[str]]:
    """The command that the words name, and the words that are left."""
    command = _top()
    while hasattr(command, "commands"):
        assert words, f"{command.name} needs a sub-command"
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    assert isinstance(command, typer.core.TyperCommand)
    return command, words


def _label(part: str | list[str]) -> str:
    return part if isinstance(part, str) else " ".join(part)[:60]


@pytest.mark.parametrize(("document", "words"), _all_commands(), ids=_label)
def test_commands(document: str, words: list[str]) -> None:
    if words[0] == "luxscaler":
        command, rest = _sub_command(words[1:])
        command.make_context(command.name, rest)  # raises for unknown options and missing arguments
    elif words[0].startswith("./scripts/"):
        assert os.access(ROOT / words[0], os.X_OK), f"{document}: {words[0]} is no script"
    else:
        assert any(" ".join(words).startswith(known) for known in NOT_RUNNABLE), f"{document}: {words}"


def test_no_exception_is_left_over() -> None:
    texts = [" ".join(words) for _, words in _all_commands()]
    assert [known for known in NOT_RUNNABLE if not any(text.startswith(known) for text in texts)] == []


@pytest.mark.parametrize("name", ["upscale", "train", "publish", "gateway", "server", "jobs", "weights"])
def test_cli_names_every_option_and_no_other(name: str) -> None:
    section = (DOCS / "cli.md").read_text("utf-8").split(f"## luxscaler {name}\n")[1].split("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    top = _top()
    assert hasattr(top, "commands")
    command = top.commands[name]
    commands = list(command.commands.values()) if hasattr(command, "commands") else [command]
    options = {
        option
        for each in commands
        for parameter in each.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    assert set(re.findall(r"--[a-z][a-z0-9-]*", table)) == options - {"--help"}


def test_formats_names_every_format_and_suffix() -> None:
    text = (DOCS / "formats.md").read_text("utf-8").split("## What is written\n")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \|", text, re.MULTILINE)
    assert {name for name, _ in rows} == set(FORMATS)
    suffixes = {suffix: name for name, cell in rows for suffix in re.findall(r"`(\.\w+)`", cell)}
    assert {suffix: name for suffix, name in suffixes.items() if suffix != ".png"} == {
        suffix: name for suffix, name in SUFFIXES.items() if suffix != ".png"
    }


def _parameters(path: Path, function: str) -> list[str]:
    tree = ast.parse(path.read_text("utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    arguments = next(node.args for node in found if node.name == function)
    return [argument.arg for argument in (*arguments.args, *arguments.kwonlyargs) if argument.arg != "self"]


def _first_cells(text: str) -> list[str]:
    """The code words of each table row's first cell."""
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_readme_names_the_containers_inputs() -> None:
    section = README.read_text("utf-8").split("## The container\n")[1].split("\n## ")[0]
    assert _first_cells(section) == _parameters(ROOT / "predict.py", "predict")


def test_python_names_every_argument_of_upscale() -> None:
    section = (DOCS / "python.md").read_text("utf-8").split("## A picture to a file\n")[1].split("\n## ")[0]
    assert set(_first_cells(section)) == set(_parameters(ROOT / "luxscaler" / "api.py", "upscale"))


@pytest.mark.parametrize("document", WITH_LINKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if not re.match(r"https?:", target):
            name, _, heading = target.partition("#")
            to = document.parent / name if name else document
            assert to.exists(), f"{document.name}: {target}"
            assert not heading or heading in _anchors(to), f"{document.name}: {target}"


def _anchors(path: Path) -> set[str]:
    """As GitHub makes them: lower case, no punctuation, hyphens for blanks."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _named(text: str) -> Iterator[str]:
    """Files and folders of the checkout that a text names, with as much of their path as it gives."""
    start = r"(?<![\w/.~-])"
    yield from re.findall(start + r"\w[\w./-]*\.(?:py|cuh|json|html|css|js|toml|yaml)\b", text)
    yield from re.findall(start + r"(?:luxscaler|tests|evaluation|benchmarks|scripts)/[\w/]*\w(?!\.)\b", text)


@pytest.mark.parametrize("document", WITH_LINKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(document: Path) -> None:
    names = set(_named(document.read_text("utf-8"))) - NAMES_OF_EXAMPLES
    assert [name for name in sorted(names) if f"/{name}" not in _there()] == []


@cache
def _there() -> set[str]:
    """Every file and folder of the repository by each way to name it: /b.py and /a/b.py of a/b.py."""
    folders = ("luxscaler", "tests", "evaluation", "benchmarks", "scripts", "examples", "docs")
    found = {path.name for path in ROOT.iterdir()}
    found |= {str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*")}
    return {
        f"/{'/'.join(parts[start:])}"
        for parts in (path.split("/") for path in found)
        for start in range(len(parts))
    }


def _tree() -> dict[str, str]:
    """Path in luxscaler/ to phrase, of the tree in docs/architecture.md; packages end in a slash."""
    text = (DOCS / "architecture.md").read_text("utf-8")
    block = text.split("<!-- tree -->\n```\nluxscaler/\n")[1].split("\n```\n")[0]
    found, folders = {}, [""]
    for line in block.splitlines():
        name, phrase = line.split(maxsplit=1)
        folders = folders[: (len(line) - len(line.lstrip())) // 2]
        found[folders[-1] + name] = phrase
        folders.append(folders[-1] + name)
    return found


def test_architecture_names_every_file_and_no_other() -> None:
    package = ROOT / "luxscaler"
    there = set()
    for path in package.rglob("*"):
        name = str(path.relative_to(package))
        if path.name == "__init__.py" and path.parent != package:
            there.add(f"{Path(name).parent}/")
        elif path.name == "index.html":
            there |= {f"{Path(name).parent}/", name}
        elif path.suffix in SUFFIXES_OF_THE_PACKAGE or path.name == "py.typed":
            there.add(name)
    tree = _tree()
    assert set(tree) == there
    assert all(tree.values())


def test_architecture_has_the_floors_of_the_tests() -> None:
    section = (DOCS / "architecture.md").read_text("utf-8").split("## Floors\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| [^|]+ \| (`.*) \|$", section, re.MULTILINE)
    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == list(reversed(FLOORS))


def test_readme_lists_the_packages() -> None:
    section = README.read_text("utf-8").split("## Files\n")[1]
    packages = {path.parent.name for path in (ROOT / "luxscaler").glob("*/__init__.py")}
    assert set(re.findall(r"`luxscaler/(\w+)/`", section)) == packages


def test_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) < 150


def test_security_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (DOCS / "security.md").read_text("utf-8"))
    assert len(named) > 20
    for file, test in named:
        text = (ROOT / file).read_text("utf-8")
        assert not test or re.search(rf"^def {test}\(", text, re.MULTILINE), f"{file} has no {test}"
