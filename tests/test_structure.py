"""The shape of the code: imports point one way, what needs no PyTorch has none, files stay short."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "luxscaler"
MODULES = sorted(PACKAGE.rglob("*.py"))
ENTRIES = [ROOT / "hdr_exporter.py", ROOT / "predict.py", ROOT / "train.py"]
FLOORS = (
    *("errors", "checks", "words", "clock", "threads", "spinning", "private_files", "sqlite_file", "options"),
    *("geometry", "picture", "color"),
    *("color_torch", "web", "networks", "cog", "replicate", "inference", "weights", "upscaling"),
    *("hdr", "gateway", "io"),
    *("tiling", "report", "isolation", "pipeline", "backends", "masters", "training"),
    *("publishing", "model", "api", "many", "console", "cli"),
)
"""The rooms of luxscaler, lowest first: each may import only itself and what is before it."""
WITHOUT_TORCH = (
    *("errors", "checks", "words", "clock", "threads", "spinning", "private_files", "sqlite_file", "options"),
    *("geometry", "picture", "color"),
    *("web", "cog", "replicate", "gateway", "io", "publishing", "console"),
)
BRING_TORCH = ("torch.", "safetensors.torch", "spandrel.", "torchvision.")
CONTAINER_ONLY = {
    "numpy",
    "torch",
    "safetensors",
    "PIL",
    "imagecodecs",
    "tifffile",
    "OpenEXR",
    "platformdirs",
}
MAX_LINES = 300


@dataclass(frozen=True)
class _File:
    """What is asked of one: its syntax tree, ten thousands of objects, is not kept."""

    imports: tuple[str, ...]
    """Dotted names of the modules; what is only for type checking does not count."""
    at_once: tuple[str, ...]
    """Those that are imported with the file itself, not by a function of it."""
    docstring: str | None
    lines: int


@cache
def _file(path: Path) -> _File:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    imports, at_once = (tuple(_found_imports(tree, path, functions=also)) for also in (True, False))
    return _File(imports, at_once, ast.get_docstring(tree), len(text.splitlines()))


def _imports(path: Path) -> tuple[str, ...]:
    return _file(path).imports


def _found_imports(tree: ast.Module, path: Path, *, functions: bool) -> Iterator[str]:
    waiting: list[ast.AST] = [tree]
    while waiting:  # statements alone: expressions, most of a file, import nothing
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they point"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting.extend(node.orelse)
        elif functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(_statements(node))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """What a statement, or a part of one such as an `except`, holds."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        found = getattr(node, name, None)
        if isinstance(found, list):
            yield from found


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_has_its_floor() -> None:
    assert {_room(path) for path in MODULES} - {"__init__"} == set(FLOORS)


@pytest.mark.parametrize("room", FLOORS)
def test_imports_point_down(room: str) -> None:
    allowed = FLOORS[: FLOORS.index(room) + 1]
    for path in (path for path in MODULES if _room(path) == room):
        rooms = {name.split(".")[1] for name in _imports(path) if name.startswith("luxscaler.")}
        assert rooms <= {*allowed, "__version__"}, path


def test_modules_of_one_room_import_each_other_in_no_circle() -> None:
    names = {_dotted(path): path for path in MODULES}
    graph = {
        name: {
            target
            for found in _imports(path)
            for target in (found, found.rpartition(".")[0])
            if target in names
        }
        - {name, "luxscaler"}
        for name, path in names.items()
    }
    while graph:
        free = {name for name, targets in graph.items() if not targets}
        assert free, f"a circle among {sorted(graph)}"
        graph = {name: targets - free for name, targets in graph.items() if name not in free}


def test_these_rooms_import_no_torch() -> None:
    """By what files say; the slow test sees what is really loaded, by other packages too."""
    names = {_dotted(path): path for path in MODULES}
    waiting = [name for name, path in names.items() if _room(path) in WITHOUT_TORCH]
    seen = set(waiting)
    while waiting:
        module = waiting.pop()
        for found in _file(names[module]).at_once:
            assert not f"{found}.".startswith(BRING_TORCH), f"{module} imports {found}"
            parts = found.split(".")
            inner = {".".join(parts[:count]) for count in range(1, len(parts) + 1)} & names.keys() - seen
            waiting += inner
            seen |= inner


@pytest.mark.slow
def test_these_rooms_load_no_torch() -> None:
    """All in one process, the lowest first: it names the first module that brings PyTorch."""
    rooms = sorted(WITHOUT_TORCH, key=FLOORS.index)
    names = [_dotted(path) for room in rooms for path in MODULES if _room(path) == room]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, f'{name} loads torch'\n"
    )
    command = [sys.executable, "-c", code, *(name for name in names if not name.endswith(".heic"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("rooms", "packages"),
    [
        (("cli",), ("typer", "rich")),
        (("cog", "replicate", "gateway", "backends", "console", "cli"), ("httpx",)),
        (("gateway", "console"), ("fastapi", "starlette", "uvicorn", "pydantic")),
        (("backends",), ("ray",)),
        (("publishing",), ("huggingface_hub", "httpx2", "boto3", "botocore")),
        (("inference",), ("cuda",)),
        (("training",), ("tensorboardX",)),
        ((), ("cog", "basicsr", "realesrgan", "torchvision", "cv2", "spandrel")),
    ],
    ids=str,
)
def test_only_these_rooms_know(rooms: tuple[str, ...], packages: tuple[str, ...]) -> None:
    for path in MODULES:
        if _room(path) not in rooms:
            assert not set(packages) & {name.split(".")[0] for name in _imports(path)}, path


def test_files_hold_one_thought_and_say_which() -> None:
    files = [*MODULES, *ENTRIES]
    assert [str(path) for path in files if not _file(path).docstring] == []
    lines = {str(path): _file(path).lines for path in files}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}
