"""Checks an input against the model's schema, as Replicate does before it takes a prediction.

Only what the schemas of Cog say: names, required, type, limits, choices. A container without a built schema
has its inputs checked by the model alone.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Any

from luxscaler.cog.messages import Json
from luxscaler.gateway.problems import Problem

_MOST_SHOWN = 20
"""Most wrong fields in one reply: to list a hundred thousand takes seconds and megabytes."""
_MOST_NAME = 200
"""Most characters of a name in a reply."""
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def check_input(inputs: Json, schema: Json, model_name: str = "Input") -> None:
    """Raise Problem (422) with the fields that are wrong. model_name: Input, or TrainingInput."""
    found = [*islice(_faults(inputs, schema, model_name), _MOST_SHOWN + 1)]
    wrong = found[:_MOST_SHOWN]
    more = f"- more than {_MOST_SHOWN} fields are wrong\n" if len(found) > _MOST_SHOWN else ""
    if wrong:
        raise Problem(
            422,
            "".join(f"- input.{name}: {message}\n" for _, name, message in wrong) + more,
            "Input validation failed",
            invalid_fields=[
                {"type": kind, "field": f"input.{name}", "description": message}
                for kind, name, message in wrong
            ],
        )


def _faults(inputs: Json, schema: Json, model_name: str) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, field, what is wrong) for each fault."""
    schemas = schema.get("components", {}).get("schemas", {})
    model = schemas.get(model_name, {})
    for name in model.get("required", ()):
        if inputs.get(name) is None:
            yield "required", name, f"{name} is required"
    properties = model.get("properties", {})
    for name, value in inputs.items():
        field = properties.get(name)
        if properties and field is None:
            # Cog would drop it without a word, and the prediction would not be what was meant.
            shown = name[:_MOST_NAME]
            yield "additional_property", shown, _unknown(shown, list(properties))
        if (
            isinstance(field, dict)
            and value is not None
            and (reason := _wrong(value, _resolved(field, schemas)))
        ):
            yield "invalid", name, reason


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    meant = f"did you mean {near[0]}?" if near else f"the inputs are {', '.join(known)}"
    return f"Additional property {name} is not allowed; {meant}"


def _resolved(field: Json, schemas: Json) -> Json:
    """A field with its references replaced: Cog puts choices into schemas of their own."""
    references = [part.get("$ref", "") for part in (*field.get("allOf", ()), field)]
    merged: Json = {}
    for reference in references:
        merged |= schemas.get(reference.removeprefix("#/components/schemas/"), {})
    return merged | field


def _wrong(value: Any, field: Json) -> str:
    """What is wrong with the value, in words; empty if nothing is."""
    kinds = _TYPES.get(str(field.get("type")), (object,))
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds not in ((bool,), (object,))):
        return f"Invalid type. Expected: {field['type']}, given: {type(value).__name__}"
    if field.get("format") == "uri" and not str(value).startswith(("http://", "https://", "data:")):
        return "Does not match format 'uri'"
    if "enum" in field and value not in field["enum"]:
        return f"Must be one of {', '.join(map(str, field['enum']))}"
    if isinstance(value, int | float) and value < field.get("minimum", value):
        return f"Must be greater than or equal to {field['minimum']}"
    if isinstance(value, int | float) and value > field.get("maximum", value):
        return f"Must be less than or equal to {field['maximum']}"
    return ""
