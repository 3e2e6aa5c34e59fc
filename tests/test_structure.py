"""The shape of the code: imports point one way, leaves stay leaves, files stay short, the README is true."""

import ast
import io
import os
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "luxscaler"
MODULES = sorted(PACKAGE.rglob("*.py"))
LEAVES = [ROOT / "hdr_exporter.py", *sorted((ROOT / "hdr_files").glob("*.py"))]
README = ROOT / "README.md"
ORDER = (
    "errors",
    "picture",
    "color",
    "formats",
    "image",
    "spooling",
    "decoding_process",
    "isolation",
    "picture_report",
    "network",
    "download",
    "wheel",
    "ncnn",
    "checkpoints",
    "catalogue",
    "weights",
    "fetch",
    "network_coding",
    "blending",
    "fidelity",
    "cuda",
    "fast_memory",
    "fast_graph",
    "fast_waves",
    "fast_winograd",
    "fast_planes",
    "fast_compact",
    "fast_network",
    "plain_network",
    "upscaler",
    "models",
    "matte",
    "detail",
    "reference",
    "registration",
    "tone_fit",
    "clues",
    "tone_curve",
    "dequantize",
    "dynamic_range",
    "transfer",
    "rendering",
    "tile",
    "pipeline",
    "serving",
    "requests",
    "backends",
    "mosaic",
    "gateway",
    "terminal",
    "weights_cli",
    "backend_cli",
    "tile_cli",
    "upscale_cli",
    "gateway_cli",
    "cli",
)
"""DESIGN.md's order, with the modules that it does not name: each may import only what is before it."""
TERMINAL = {"terminal.py", "weights_cli.py", "upscale_cli.py", "gateway_cli.py", "cli.py"}
UNMAINTAINED = {"basicsr", "realesrgan", "torchvision"}
MAX_CODE_LINES = 260


def _imports(path: Path, *, inside_functions: bool) -> Iterator[str]:
    """Names of the modules that a file imports, dotted; what is only for type checking does not count."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they point"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting.extend(node.orelse)
        elif inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(ast.iter_child_nodes(node))


def _name(path: Path) -> str:
    """luxscaler.formats.exif for luxscaler/formats/exif.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _graph() -> dict[str, set[str]]:
    """Which of the package's modules each of them imports, inside functions too."""
    names = {_name(path) for path in MODULES} - {"luxscaler"}
    return {
        _name(path): names & set(_imports(path, inside_functions=True)) - {_name(path)} for path in MODULES
    }


def _rank(name: str) -> int:
    return ORDER.index(name.split(".")[1])


def test_every_module_has_its_place_in_the_order() -> None:
    places = {path.stem if path.parent == PACKAGE else path.parent.name for path in MODULES} - {"__init__"}
    assert places == set(ORDER)
    assert len(set(ORDER)) == len(ORDER)


def test_imports_point_one_way() -> None:
    wrong = [
        f"{importer} imports {imported}"
        for importer, targets in _graph().items()
        for imported in targets
        if importer != "luxscaler" and _rank(imported) > _rank(importer)
    ]
    assert wrong == []


def test_imports_make_no_circle() -> None:
    graph = _graph()
    while graph:
        free = {name for name, targets in graph.items() if not targets}
        assert free, f"a circle among {sorted(graph)}"
        graph = {name: targets - free for name, targets in graph.items() if name not in free}


def test_the_exporter_is_a_leaf() -> None:
    assert ROOT / "hdr_exporter.py" in LEAVES
    own = {"hdr_files"}
    for path in LEAVES:
        tops = {name.split(".")[0] for name in _imports(path, inside_functions=True)}
        assert not tops & {"torch", "luxscaler"}, path
        others = tops - own - set(sys.stdlib_module_names)
        assert others <= {"imagecodecs", "numpy", "OpenEXR", "OpenImageIO", "tifffile", "PIL"}, path
        assert "OpenImageIO" not in others or path.name == "exr_stream.py", path  # the container has none


def test_reading_pictures_needs_no_pytorch() -> None:
    for path in MODULES:
        name = _name(path)
        if name != "luxscaler" and _rank(name) <= ORDER.index("picture_report"):
            assert not {"torch"} & {found.split(".")[0] for found in _imports(path, inside_functions=True)}, (
                path
            )


def test_the_gateway_knows_nothing_of_luxscaler_but_its_errors() -> None:
    for path in (PACKAGE / "gateway").glob("*.py"):
        names = set(_imports(path, inside_functions=True))
        ours = {name for name in names if name.startswith(("luxscaler.", "hdr_"))}
        assert all(name.startswith(("luxscaler.gateway", "luxscaler.errors")) for name in ours), path
        assert not {"torch", "numpy", "cog"} & {name.split(".")[0] for name in names}, path


@pytest.mark.parametrize("path", [*MODULES, *LEAVES, ROOT / "predict.py"], ids=str)
def test_the_unmaintained_packages_are_not_on_the_main_path(path: Path) -> None:
    assert not UNMAINTAINED & {name.split(".")[0] for name in _imports(path, inside_functions=True)}


def test_only_the_entries_know_cog_and_the_terminal() -> None:
    for path in (*MODULES, *LEAVES):
        tops = {name.split(".")[0] for name in _imports(path, inside_functions=True)}
        assert "cog" not in tops, path
        assert path.name in TERMINAL or not tops & {"typer", "rich"}, path


def _code_lines(path: Path) -> int:
    """Lines with code: without blank lines, comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    silent = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
    lines: set[int] = set()
    for token in tokenize.tokenize(io.BytesIO(text.encode()).readline):
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


@pytest.mark.parametrize("path", [*MODULES, *LEAVES, ROOT / "predict.py"], ids=str)
def test_files_are_short_and_say_what_they_do(path: Path) -> None:
    assert _code_lines(path) <= MAX_CODE_LINES
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_scripts_that_the_readme_names_can_be_run() -> None:
    named = set(re.findall(r"(?<![\w/])\./?(scripts/[\w.-]+)", README.read_text(encoding="utf-8")))
    assert named >= {"scripts/upscale", "scripts/test", "scripts/serve", "scripts/push"}
    for name in named:
        assert os.access(ROOT / name, os.X_OK), name


def test_the_commands_that_the_readme_names_exist() -> None:
    text = README.read_text(encoding="utf-8")
    named = {part for words in re.findall(r"luxscaler weights ([\w|]+)", text) for part in words.split("|")}
    named |= set(re.findall(r"luxscaler (?!weights\b)(\w+)(?= (?:IN\b|FILE\b|--cog\b))", text))
    commands = {
        node.name.removeprefix("weights_")
        for path in PACKAGE.glob("*cli.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert named >= {"upscale", "info", "gateway", "list", "fetch", "verify", "convert"}
    assert named <= commands


def test_the_links_of_the_readme_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


def test_the_tree_in_the_readme_names_every_module_and_nothing_else() -> None:
    text = README.read_text(encoding="utf-8")
    tree = text.split("## Files", 1)[1].split("```")[1]
    package = tree[tree.index("luxscaler/\n") : tree.index("\nscripts/")]
    # The names stand at the start of a line, one or several; a phrase follows after two spaces.
    heads = [re.split(r" {2,}", line.strip())[0] for line in package.splitlines()]
    named = {name for head in heads for name in re.findall(r"\w+\.py", head)}
    assert named == {path.name for path in MODULES} - {"__init__.py"}
    exporter = re.findall(r"\w+\.py", tree[tree.index("hdr_files/\n") : tree.index("\nluxscaler/")])
    assert set(exporter) == {path.name for path in LEAVES[1:]} - {"__init__.py"}
    for path in (LEAVES[0], ROOT / "predict.py"):
        assert re.search(rf"^{path.name} ", tree, re.MULTILINE), path.name
