"""JSON of strangers: its shape is counted before it is parsed, since a parser pays for depth and number.

32 MB of `[[[…` take a parser minutes and gigabytes; to count brackets takes a moment. Text that no file or
database can hold (half a surrogate pair) is refused too, and numbers that no reply can.
"""

import json
import math
import re
import sys
from typing import Any

from luxscaler.cog.messages import Json
from luxscaler.gateway.problems import Problem, invalid_input

MAX_DEPTH = 64
MAX_VALUES = 100_000
"""Most values, of all objects and lists together."""
_STRUCTURE = b'"[]{},'
_ALL_ELSE = bytes(set(range(256)) - set(_STRUCTURE))
_TEXT = re.compile(rb'"[^"]*"')
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> float:
    """A number with a point or an exponent; 1e999 is refused: it is infinite, which JSON cannot hold."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _whole(text: str) -> int:
    if len(text) > sys.float_info.max_10_exp:  # other languages' JSON has no larger numbers
        raise ValueError(f"the number {text[:40]}… is too large")
    return int(text)


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_number, parse_int=_whole)


def read_json(raw: bytes) -> Json:
    """The object in a request's body. Raises Problem."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(400, f"The body is not UTF-8: {error.reason} at byte {error.start}") from error
    _check_shape(raw)
    try:
        body = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"The body is not JSON: {str(error)[:200]}") from error
    if not isinstance(body, dict):
        raise Problem(400, "The body must be a JSON object")
    if _HALF.search(raw):
        _check_text(body, "")
    return body


def _check_shape(raw: bytes) -> None:
    """Raise Problem for too many levels or values, counted by the characters between texts."""
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    shape = plain.translate(None, _ALL_ELSE)
    if shape.count(b'"') > 4 * MAX_VALUES:  # a key and a text are four
        raise _too_many()
    shape = _TEXT.sub(b"", shape)
    if len(shape) > 2 * MAX_VALUES:
        raise _too_many()
    depth = 0
    for byte in shape:
        if byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Problem(400, f"The body is nested deeper than {MAX_DEPTH} levels")
        elif byte in b"]}":
            depth -= 1


def _too_many() -> Problem:
    return Problem(400, f"The body has more than {MAX_VALUES} values")


def _check_text(value: Any, place: str) -> None:
    """Raise Problem (422) for a text that holds half of a surrogate pair."""
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise invalid_input(place or "body", "holds half of a surrogate pair, which is no text")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, place)
            _check_text(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for item in value:
            _check_text(item, place)
