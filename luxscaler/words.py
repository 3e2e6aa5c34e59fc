"""Numbers with their nouns, for what is said to people."""


def counted(count: int, noun: str, form: str = "") -> str:
    """How many there are: "1 tile", "2 tiles". form: of the number, e.g. "," for thousands."""
    return f"{count:{form}} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Of a regular noun; the last of several words."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}{'es' if noun.endswith(('s', 'x', 'ch', 'sh')) else 's'}"
