"""The document that Cog's builder would make, from the source alone."""

import json
from pathlib import Path

import pytest

from luxscaler.cog.schema import PLACE, container_schema, input_schemas, write_schema
from luxscaler.errors import InputError
from tests.conftest import ROOT

SOURCE = """
class Predictor:
    async def predict(
        self,
        picture: Path = Input(description="One"),
        other: Optional[Path] = Input(default=None),
        kind: str = Input(default="a", choices=["a", "b"]),
        factor: float = Input(default=2.0, ge=1, le=4),
        count: int = Input(),
        yes: bool = Input(default=False),
    ) -> Path: ...
"""


def test_types_limits_choices_and_what_is_required() -> None:
    schemas = input_schemas(SOURCE, "predict", "Input")
    inputs = schemas["Input"]
    assert inputs["required"] == ["picture", "count"]
    assert inputs["properties"] == {
        "picture": {
            "type": "string",
            "format": "uri",
            "title": "Picture",
            "description": "One",
            "x-order": 0,
        },
        "other": {"type": "string", "format": "uri", "nullable": True, "title": "Other", "x-order": 1},
        "kind": {
            "title": "Kind",
            "allOf": [{"$ref": "#/components/schemas/kind"}],
            "default": "a",
            "x-order": 2,
        },
        "factor": {
            "type": "number",
            "title": "Factor",
            "minimum": 1,
            "maximum": 4,
            "default": 2.0,
            "x-order": 3,
        },
        "count": {"type": "integer", "title": "Count", "x-order": 4},
        "yes": {"type": "boolean", "title": "Yes", "default": False, "x-order": 5},
    }
    assert schemas["kind"]["enum"] == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def other(): ...", "no function predict"),
        ("def predict(a: str): ...", "needs an Input"),
        ("def predict(a: str = 3): ...", "must be Input"),
        ("def predict(a: list = Input()): ...", "no schema for the type list"),
    ],
)
def test_what_cog_could_not_build_is_said(source: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        input_schemas(source, "predict", "Input")


def test_the_containers_own_inputs(tmp_path: Path) -> None:
    schemas = container_schema(ROOT)["components"]["schemas"]
    assert schemas["Input"]["required"] == ["tile_input"]
    assert schemas["TrainingInput"]["required"] == ["pictures"]
    assert schemas["Output"]["format"] == "uri"
    for name in ("predict.py", "train.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    assert json.loads(write_schema(tmp_path).read_text()) == container_schema(ROOT)
    assert (tmp_path / PLACE).is_file()
