"""What a run says, without what a test brought about by its tiny network."""

from luxscaler.pipeline.result import Result


def told(result: Result) -> tuple[str, ...]:
    """The notices but the one that the network's own scale is another."""
    return tuple(text for text in result.notices if not text.startswith("the model's own scale is"))
