"""The OpenAPI document of a container, as Cog's builder makes it: from the source, without running it.

    python -m luxscaler.cog.schema            # predict.py and train.py here → .cog/openapi_schema.json

`cog build` does this inside Docker; ./scripts/serve does it before it starts the server. Without the document
Cog's server checks no input and the gateway has no schema to show. With it, Cog 0.23.1 refuses values that
do not fit by 422, and drops inputs that the schema does not name without a word; the gateway refuses those.
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any

from luxscaler.cog.messages import Json
from luxscaler.errors import InputError

PLACE = Path(".cog") / "openapi_schema.json"
"""Where Cog's server looks, from its working directory."""
_PREFIX = "#/components/schemas/"
_TYPES: dict[str, Json] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "Path": {"type": "string", "format": "uri"},
}
_LIMITS = {"ge": "minimum", "le": "maximum", "min_length": "minLength", "max_length": "maxLength"}
_SCHEMAS = (("predict", "Input"), ("train", "TrainingInput"))


def container_schema(folder: Path) -> Json:
    """The OpenAPI document of the folder's predict.py and, if there is one, train.py. Raises InputError."""
    schemas: Json = {}
    for function, title in _SCHEMAS:
        source = folder / f"{function}.py"
        if source.exists():
            schemas |= input_schemas(source.read_text(encoding="utf-8"), function, title)
            schemas[title.replace("Input", "Output")] = _output(title)
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {"schemas": schemas},
    }


def input_schemas(source: str, function: str, title: str) -> Json:
    """The schema of a function's inputs under `title`, and those of their choices. Raises InputError."""
    found = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
    ]
    if not found:
        raise InputError(f"there is no function {function} in the source of the container")
    arguments = [argument for argument in found[0].args.args if argument.arg != "self"]
    defaults = found[0].args.defaults
    if len(defaults) != len(arguments):
        raise InputError(f"{function}: every input needs an Input(...)")
    properties: Json = {}
    choices: Json = {}
    for order, (argument, default) in enumerate(zip(arguments, defaults, strict=True)):
        said = _said(default)
        field: Json = {**_type_of(argument), "title": argument.arg.replace("_", " ").title()}
        if "choices" in said:
            choices[argument.arg] = {
                "title": argument.arg,
                "description": "An enumeration.",
                "enum": said["choices"],
                "type": field.pop("type"),
            }
            field["allOf"] = [{"$ref": _PREFIX + argument.arg}]
        field |= {_LIMITS[name]: value for name, value in said.items() if name in _LIMITS}
        field |= {name: said[name] for name in ("description", "default") if said.get(name) is not None}
        properties[argument.arg] = field | {"x-order": order}
    required = [
        argument.arg
        for argument, default in zip(arguments, defaults, strict=True)
        if "default" not in _said(default)
    ]
    return {
        title: {"title": title, "type": "object", "properties": properties, "required": required}
    } | choices


def write_schema(folder: Path) -> Path:
    """Write the document where a server that is started in `folder` looks. Raises InputError, OSError."""
    path = folder / PLACE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(container_schema(folder), indent=1), encoding="utf-8")
    return path


def _said(default: ast.expr) -> dict[str, Any]:
    """The arguments of `Input(...)`, which are literals."""
    if not (
        isinstance(default, ast.Call) and isinstance(default.func, ast.Name) and default.func.id == "Input"
    ):
        raise InputError(f"line {default.lineno}: the default of an input must be Input(...)")
    return {str(one.arg): ast.literal_eval(one.value) for one in default.keywords}


def _type_of(argument: ast.arg) -> Json:
    """By the annotation: a plain type, or Optional of one."""
    annotation = argument.annotation
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Optional":
        return _type_of(ast.arg(argument.arg, annotation.slice)) | {"nullable": True}
    name = ast.unparse(annotation) if annotation is not None else "none"
    if name not in _TYPES:
        raise InputError(f"{argument.arg}: Cog has no schema for the type {name}")
    return dict(_TYPES[name])


def _output(title: str) -> Json:
    file = {"type": "string", "format": "uri"}
    if title == "Input":
        return {"title": "Output", **file}
    return {
        "title": "TrainingOutput",
        "type": "object",
        "properties": {"weights": {"title": "Weights", **file}},
        "required": ["weights"],
    }


if __name__ == "__main__":
    write_schema(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
