"""What a client may ask for, and what it is told when it may not."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limit_examples
from hypothesis import strategies as st

from luxscaler.gateway.create_request import check_version, read_create_request
from luxscaler.gateway.input_validation import check_input
from luxscaler.gateway.problems import Problem
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.strict_json import read_json
from tests.support.examples import examples
from tests.support.fake_cog import OPENAPI

HASH = "0123456789abcdef" * 4


def asked(headers: dict[str, str] | None = None, **body: Any) -> Any:
    return read_create_request({"input": {}, **body}, headers or {})


def status_of(error: pytest.ExceptionInfo[Problem]) -> int:
    return error.value.status


@pytest.mark.parametrize(
    "asked",
    [HASH, f"josfer/luxscaler-v32:{HASH}", f"r8.im/josfer/luxscaler-v32:{HASH}", "josfer/luxscaler-v32"],
)
def test_versions_in_every_form(asked: str, tmp_path: Path) -> None:
    check_version(asked, Settings(("http://c:1",), tmp_path, version=HASH))


@pytest.mark.parametrize(
    "asked", [None, 3, "", HASH[:12], "0" * 64, f"other/model:{HASH}", "https://x/" + HASH]
)
def test_versions_that_are_not_offered(asked: object, tmp_path: Path) -> None:
    with pytest.raises(Problem) as error:
        check_version(asked, Settings(("http://c:1",), tmp_path, version=HASH))
    assert status_of(error) == 422


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", 0),
        ("wait", 60),
        ("wait=1", 1),
        ("wait=60", 60),
        ('respond-async, wait="5"', 5),
        ("handling=x", 0),
        ("Wait=7; foo=bar", 7),
    ],
)
def test_prefer_wait(prefer: str, seconds: float) -> None:
    assert asked({"prefer": prefer}).wait_seconds == seconds


@limit_examples(max_examples=examples(30))
@given(st.integers(0, 99), st.integers(0, 500), st.integers(0, 5000))
def test_durations(hours: int, minutes: int, seconds: int) -> None:
    total = 3600 * hours + 60 * minutes + seconds
    text = f"{hours}h{minutes}m{seconds}s"
    if total >= 5:
        assert asked({"cancel-after": text}).deadline_seconds == total
    else:
        with pytest.raises(Problem, match="at least 5s"):
            asked({"cancel-after": text})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("30", 30), (None, None)]
)
def test_durations_of_the_documentation(text: str | None, seconds: float | None) -> None:
    assert asked({} if text is None else {"cancel-after": text}).deadline_seconds == seconds


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"input": None}, {}, 422),
        ({"input": [1]}, {}, 422),
        ({"webhook": "ftp://x"}, {}, 422),
        ({"webhook": "http://"}, {}, 422),
        ({"webhook": "http://x:port/"}, {}, 422),
        ({"webhook": "http://x/" + "a" * 5000}, {}, 422),
        ({"webhook": 3}, {}, 422),
        ({"webhook_events_filter": ["failed"]}, {}, 422),
        ({"webhook_events_filter": "completed"}, {}, 422),
        ({"webhook_events_filter": [{}]}, {}, 422),
        ({}, {"prefer": "wait=0"}, 400),
        ({}, {"prefer": "wait=61"}, 400),
        ({}, {"cancel-after": "soon"}, 400),
        ({}, {"cancel-after": ""}, 400),
        ({}, {"cancel-after": "-5m"}, 400),
    ],
)
def test_what_is_refused(body: dict[str, Any], headers: dict[str, str], status: int) -> None:
    with pytest.raises(Problem) as error:
        asked(headers, **body)
    assert status_of(error) == status


def test_events_are_all_or_those_asked_for() -> None:
    assert asked().events == ("start", "output", "logs", "completed")
    assert asked(webhook_events_filter=["completed", "start"]).events == ("start", "completed")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"x"', b'{"a": NaN}', b"\xff", b"[" * 99999, b'{"a":' * 70 + b"1" + b"}" * 70]
)
def test_bodies_that_are_no_json_object(raw: bytes) -> None:
    with pytest.raises(Problem) as error:
        read_json(raw)
    assert status_of(error) == 400


@limit_examples(max_examples=examples(30))
@given(st.dictionaries(st.text(), st.none() | st.text() | st.lists(st.integers())))
def test_json_objects_are_read(body: dict[str, Any]) -> None:
    assert read_json(json.dumps(body).encode()) == body


GOOD = {"tile_input": "https://x/a.png", "output_format": "exr", "hdr_boost": 1.5, "fractality": 1}


def test_the_payload_of_the_guide_passes_the_schema() -> None:
    check_input({**GOOD, "global_reference": None}, OPENAPI)
    check_input({}, {})


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"tile_input": None}, "tile_input", "required"),
        ({"tile_input": 3}, "tile_input", "Invalid type"),
        ({"tile_input": "/etc/passwd"}, "tile_input", "uri"),
        ({"output_format": "gif"}, "output_format", "one of webp"),
        ({"hdr_boost": 0.5}, "hdr_boost", "greater"),
        ({"hdr_boost": 50}, "hdr_boost", "less"),
        ({"hdr_boost": True}, "hdr_boost", "Invalid type"),
        ({"hdr_bost": 2}, "hdr_bost", r"hdr_bost is not allowed; did you mean hdr_boost\?"),
        ({"zzz": None}, "zzz", "zzz is not allowed; the inputs are tile_input"),
    ],
)
def test_inputs_that_the_schema_forbids(wrong: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(Problem, match=says) as error:
        check_input({**GOOD, **wrong}, OPENAPI)
    assert status_of(error) == 422
    assert [item["field"] for item in error.value.body["invalid_fields"]] == [f"input.{field}"]


def test_of_very_many_wrong_fields_some_are_told() -> None:
    with pytest.raises(Problem, match="more than 20 fields are wrong") as error:
        check_input({**GOOD, **{f"output_f{number:05}" + "x" * 999: 1 for number in range(5000)}}, OPENAPI)
    assert len(error.value.body["invalid_fields"]) == 20
    assert len(str(error.value)) < 20_000


def test_choices_in_a_schema_of_their_own() -> None:
    schema = {
        "components": {
            "schemas": {
                "Input": {"properties": {"model": {"allOf": [{"$ref": "#/components/schemas/model"}]}}},
                "model": {"enum": ["photo"], "type": "string"},
            }
        }
    }
    check_input({"model": "photo"}, schema)
    with pytest.raises(Problem, match="one of photo"):
        check_input({"model": "x"}, schema)
