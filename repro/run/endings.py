"""How the main job ends: its exit codes, and one message for each mistake of the user; made here and nowhere below."""

from __future__ import annotations

import errno
import re
import sys
from typing import TYPE_CHECKING

from repro.curve import LogError
from repro.data import DataError
from repro.evaluate.formatting import EvaluationError
from repro.launch import LaunchError, Place, leave_outcome
from repro.models.matching import DivergedError
from repro.recipe import RecipeError
from repro.record.schema import RecordError
from repro.run.words import WordsError
from repro.rundir import RunDirError
from repro.stop import Interrupted
from repro.train.state import TrainError
from repro.weights import CheckpointError
from repro.world import is_agreed

if TYPE_CHECKING:
    from collections.abc import Callable

DONE, OUTSIDE_TOLERANCE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
USER_ERRORS = (
    RecipeError,
    DataError,
    CheckpointError,
    DivergedError,
    EvaluationError,
    LogError,
    RecordError,
    RunDirError,
    TrainError,
    WordsError,
    LaunchError,
)
LOST_PEER = re.compile(r"gloo|NCCL|Connection (closed|reset)|Broken pipe|timed? ?out", re.IGNORECASE)
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


def answered(work: Callable[[], int], *, aloud: Callable[[BaseException], bool] | None = None) -> int:
    """Return the exit code of `work`, with one message for each mistake of the user.

    `aloud` says, in one of several processes, whether it is this one that speaks. Raises _Alone there for a mistake
    that the others have not seen.
    """
    try:
        return work()
    except (*USER_ERRORS, OSError) as error:
        if isinstance(error, OSError) and error.errno not in NO_ROOM:
            raise
        if aloud is None or aloud(error):
            sys.stderr.write(f"{_in_words(error)}\n")
        if aloud is not None and not is_agreed(error):
            raise _Alone(BAD_INPUT) from error
        return BAD_INPUT
    except (Interrupted, KeyboardInterrupt) as why:
        if aloud is None or aloud(why):
            sys.stderr.write(f"{str(why) or 'interrupted'}; the same command goes on from there\n")
        return INTERRUPTED


def answered_by_one(place: Place, work: Callable[[], int]) -> int:
    """Return the exit code of `work` in one of several processes; the others speak of what only they have seen."""
    try:
        return leave_outcome(answered(work, aloud=lambda why: _speaks(place, why)))
    except _Alone as end:  # the others do not know: only a code that is not 0 has the launcher end them too
        leave_outcome(end.code)
        return end.code
    except RuntimeError as error:
        if not LOST_PEER.search(str(error)):
            raise
        last = str(error).strip().splitlines()[-1][:200]
        sys.stderr.write(f"process {place.rank} of {place.world} lost the others: {last}\n")
        return BAD_INPUT


class _Alone(Exception):  # noqa: N818 — an end, like SystemExit
    """One process of several ends with a mistake that only it has seen."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _speaks(place: Place, why: BaseException) -> bool:
    """Tell whether this process puts `why` into words: the first one what all know, each what it alone has seen."""
    return place.rank == 0 or not (is_agreed(why) or isinstance(why, (Interrupted, KeyboardInterrupt)))


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'writing'}: {error.strerror}; free some space or choose --run DIR elsewhere"
    return str(error)
