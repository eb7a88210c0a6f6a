"""One log explained: bytes in, the causes it names out, the root cause first. It looks at no machine; see `here.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.logs.condense import condense
from doctor.logs.match import find
from doctor.logs.read import decode, normalise
from doctor.logs.signatures import ALL_SIGNATURES

if TYPE_CHECKING:
    from doctor.logs.match import Hit


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a log says. `hits` are ordered: the likeliest root cause first, summaries of a failure last."""

    hits: tuple[Hit, ...]
    num_lines: int

    @property
    def cause(self) -> Hit | None:
        """Return the root cause, None where nothing known stands in the log: a guess is no cause."""
        first = self.hits[0] if self.hits else None
        return first if first and first.signature.confidence != "guess" else None

    @property
    def category(self) -> str:
        """Return the cause's category, `other` where there is none."""
        return self.cause.signature.category if self.cause else "other"


def explain(data: bytes) -> Explanation:
    """Explain a log. Any bytes are a log; the search is over text in whatever encoding they are."""
    log = condense(normalise(decode(data)))
    return Explanation(find(log, ALL_SIGNATURES), log.num_lines)
