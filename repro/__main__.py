"""The words after `python -m repro`: parse them, make one call, print, and turn mistakes into exit codes.

Exit codes: 0 done, 1 a metric outside its tolerance (or a parity case that fails), 2 bad input or problems found,
3 could not look, 130 interrupted (the same command resumes).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from repro.options import parser
from repro.recipe import RecipeError
from repro.recipe.menu import recipes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    typed = list(sys.argv[1:] if argv is None else argv)
    words = parser().parse_args(typed)
    words.typed = typed
    answer = COMMANDS[vars(words).pop("command")]  # what stays are options, of which the run makes its command
    # Spinning OpenMP threads rob each other on shared virtual CPUs (measured: a training step of 9.7 s against 1.2 s
    # when they sleep). Read once, when torch is first imported: below.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        code = answer(words)
        sys.stdout.flush()
    except RecipeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except BrokenPipeError:  # the reader of our output left: nothing to complain about, now or at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _synth(words: argparse.Namespace) -> int:
    from repro.data import DataError  # noqa: PLC0415 — the devkit takes seconds to import
    from repro.data.synth import write_synth  # noqa: PLC0415 — as above
    from repro.progress import told  # noqa: PLC0415 — as above

    try:
        with told("synth") as tell:
            written = write_synth(words.directory, seed=words.seed, scenes=words.scenes, frames=words.frames, tell=tell)
    except DataError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{words.directory}: {'written' if written else 'there already'}\n")
    return 0


def _weights(words: argparse.Namespace) -> int:
    from repro.released import main as run_weights  # noqa: PLC0415 — as above

    return run_weights(words)


def _infos(words: argparse.Namespace) -> int:
    from repro.infos import main as run_infos  # noqa: PLC0415 — as above

    return run_infos(words)


def _check(words: argparse.Namespace) -> int:
    from repro.record.menu import check  # noqa: PLC0415 — as above

    return check(words.run, dataroot=words.dataroot, as_json=words.json)


def _diff(words: argparse.Namespace) -> int:
    from repro.record.menu import diff  # noqa: PLC0415 — as above

    return diff(words.one, words.other, as_json=words.json)


def _archive(words: argparse.Namespace) -> int:
    from repro.record.menu import archive  # noqa: PLC0415 — as above

    return archive(words.run, words.to)


def _parity(words: argparse.Namespace) -> int:
    from repro.parity.run import main as run_parity  # noqa: PLC0415 — torch takes seconds to import

    return run_parity(words.directory, as_json=words.json)


def _draw(words: argparse.Namespace) -> int:
    from repro.draw.menu import draw  # noqa: PLC0415 — as above

    return draw(words)


def _predict(words: argparse.Namespace) -> int:
    from repro.single.menu import predict  # noqa: PLC0415 — as above

    return predict(words)


def _compare_upstream(words: argparse.Namespace) -> int:
    from repro.upstream.menu import main as compare  # noqa: PLC0415 — as above

    return compare(words)


def _run(words: argparse.Namespace) -> int:
    """Run the main job, here or in a container: the doctor looks first, then the pipeline tells its story."""
    if words.container:
        from repro.containers.menu import run_recipe  # noqa: PLC0415 — as above

        return run_recipe(words)
    from repro.run.menu import run  # noqa: PLC0415 — as above

    return run(words)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "recipes": recipes,
    "synth": _synth,
    "weights": _weights,
    "infos": _infos,
    "check": _check,
    "diff": _diff,
    "archive": _archive,
    "draw": _draw,
    "predict": _predict,
    "parity": _parity,
    "compare-upstream": _compare_upstream,
}

if __name__ == "__main__":
    sys.exit(main())
