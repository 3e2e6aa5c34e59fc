"""What is said to people: numbers with their nouns, names on one line."""

import unicodedata

_CONTROLS = {"Cc", "Zl", "Zp", "Cs"}
"""Unicode's categories of control characters, ends of lines and paragraphs, and surrogates."""


MOST_SAID = 200
"""Characters of a notice with names of others in it."""


def shortened(text: str) -> str:
    """The text if it has at most MOST_SAID characters, else its beginning and an ellipsis."""
    return text if len(text) <= MOST_SAID else f"{text[: MOST_SAID - 1]}…"


def counted(count: int, noun: str, form: str = "") -> str:
    """How many there are: "1 tile", "2 tiles". form: of the number, e.g. "," for thousands."""
    return f"{count:{form}} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Of a regular noun; the last of several words."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}{'es' if noun.endswith(('s', 'x', 'ch', 'sh')) else 's'}"


def printable(text: str) -> str:
    """Text of others on one line, without power over a terminal: control characters as their escapes."""
    if text.isprintable():
        return text
    return "".join(ascii(char)[1:-1] if _is_control(char) else char for char in text)


def _is_control(char: str) -> bool:
    return char != "\t" and unicodedata.category(char) in _CONTROLS
