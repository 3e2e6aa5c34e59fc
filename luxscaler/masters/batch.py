"""Pictures one after another: one that fails does not stop the others, and what became of each is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luxscaler.errors import StoppedError, WeightsError
from luxscaler.masters.pairs import Pair, existing
from luxscaler.pipeline.result import Result

FATAL = (StoppedError, WeightsError)
"""Errors that end a batch: they concern every picture, or the user stopped the work."""


@dataclass(frozen=True)
class Outcome:
    """What became of a picture: a result, an error, or neither where its result was there already."""

    pair: Pair
    result: Result | None = None
    error: Exception | None = None

    @property
    def is_skipped(self) -> bool:
        """Whether the result was there already."""
        return self.result is None and self.error is None


def run_batch(
    pairs: Sequence[Pair],
    work: Callable[[Pair], Result],
    *,
    skip_existing: bool = False,
    begun: Callable[[int, Pair], None] = lambda _number, _pair: None,
    ended: Callable[[Outcome], None] = lambda _outcome: None,
) -> list[Outcome]:
    """Call `work` for each pair in order, and return what came of each.

    skip_existing: leave out pairs whose result exists when their turn comes. begun: called with the number,
    from 1, and the pair before each call of `work`. ended: called with every outcome. An error of `work`
    becomes the picture's outcome, but StoppedError and WeightsError are raised: they concern all pictures.
    """
    outcomes: list[Outcome] = []
    for number, pair in enumerate(pairs, 1):
        if skip_existing and existing([pair]):
            outcome = Outcome(pair)
        else:
            begun(number, pair)
            outcome = _done(pair, work)
        outcomes.append(outcome)
        ended(outcome)
    return outcomes


def _done(pair: Pair, work: Callable[[Pair], Result]) -> Outcome:
    try:
        return Outcome(pair, work(pair))
    except FATAL:
        raise
    # Unexpected errors too: one picture must not stop the others, and its error is reported.
    except Exception as error:  # noqa: BLE001, RUF100
        return Outcome(pair, error=error)
