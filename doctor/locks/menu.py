"""The menu of `env`: words in; make an environment, judge it by its lock, or write the lock; print."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.locks.imports import broken_imports
from doctor.locks.judge import judge
from doctor.locks.look import Environment, look, noted
from doctor.locks.make import MakeError, make
from doctor.locks.read import LockError, read_lock
from doctor.locks.write import write_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctor.locks.judge import Difference
    from doctor.locks.read import Pin

HOME = Path(__file__).resolve().parents[2]
FINE, DIFFERENT, NO_LOOK, INTERRUPTED = 0, 2, 3, 130
SCHEMA = 1
FILES = ("tampered", "stray")  # kinds that --diff leaves to --verify


def main(words: Sequence[str] | None = None) -> int:
    """Do what was asked; return 0 if all is as the lock says, 2 if not, 3 if nobody could look, 130 on Ctrl-C."""
    options = _parser().parse_args(words)
    try:
        return _asked(options)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command goes on where it stopped", INTERRUPTED)
    except LockError as why:
        return _complain(str(why), NO_LOOK)
    except MakeError as why:
        return _complain(str(why), why.code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="env", description="Make a pinned environment, or judge one by its lock.")
    parser.add_argument("--stack", default="auto", help="a folder of env/, or auto: the one the doctor chooses")
    parser.add_argument("--prefix", default="", help="where the environment lies (default: .venv, .venv-STACK)")
    parser.add_argument("--python", default="", help="make it with this interpreter")
    parser.add_argument("--lock", action="store_true", help="write the lock anew from requirements.in (needs uv)")
    parser.add_argument(
        "--verify", action="store_true", help="judge versions, the hash of every installed file, and imports"
    )
    parser.add_argument("--diff", action="store_true", help="say in words how what is installed differs")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    parser.add_argument("--locks", type=Path, default=HOME / "env", help=argparse.SUPPRESS)
    return parser


def _asked(options: argparse.Namespace) -> int:
    stack = _stack(options)
    folder = options.locks / stack
    if options.lock:
        changed = write_lock(folder, _tell)
        return _print(options, stack, changed or ["the lock stays as it was"], code=FINE)
    prefix = Path(options.prefix).resolve() if options.prefix else _default_prefix(stack)
    if not (options.verify or options.diff):
        make(folder, prefix, python=options.python, tell=_tell)
    return _judged(options, stack, folder, prefix)


def _stack(options: argparse.Namespace) -> str:
    stack = str(options.stack)
    if stack == "auto":
        command = [sys.executable, "-m", "doctor", "stack"]
        done = subprocess.run(command, cwd=HOME, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise LockError("the doctor chose no stack (above); name one: --stack cu130")
        stack = done.stdout.strip()
    known = sorted(path.parent.name for path in options.locks.glob("*/stack.json"))
    if stack not in known:
        raise LockError(f'there is no stack "{stack}"; stacks: {", ".join(known)}')
    return stack


def _default_prefix(stack: str) -> Path:
    """Return .venv where it holds this stack, otherwise a folder of the stack's own."""
    venv = Path(os.environ.get("BEVREADY_VENV") or HOME / ".venv")
    try:
        there = (venv / ".bevready").read_text(encoding="utf-8").split(" ")[0]
    except OSError:
        there = ""
    return venv if there == stack else HOME / f".venv-{stack}"


def _judged(options: argparse.Namespace, stack: str, folder: Path, prefix: Path) -> int:
    pins = read_lock(folder / "requirements.lock")
    there = look(prefix, (pin.marker for pin in pins if pin.marker))
    wanted = _wanted(pins, there)
    found = judge(
        wanted, there.installed, strays=there.strays, records=there.records, pip=f"{prefix / 'bin' / 'python'} -m pip"
    )
    modules: list[str] = []
    if options.diff and not options.verify:
        found = [row for row in found if row.kind not in FILES]
    else:
        modules = json.loads((folder / "stack.json").read_text(encoding="utf-8")).get("imports", [])
        found += broken_imports(prefix, modules)
    lines = [f"{row}\n          {row.fix}" for row in found]
    tried = f", {len(modules)} modules imported" if modules else ""
    end = f"{prefix}: Python {there.python}, {len(wanted)} packages pinned here{tried}, {_end(found, prefix)}"
    return _print(options, stack, [*lines, end], found, DIFFERENT if found else FINE)


def _wanted(pins: Sequence[Pin], there: Environment) -> list[Pin]:
    return [pin for pin in pins if not pin.marker or there.markers[pin.marker]]


def _end(found: Sequence[Difference], prefix: Path) -> str:
    words = f"{len(found)} difference{'s' * (len(found) > 1)}" if found else "all as the lock says"
    unnoted = "" if noted(prefix) else "; nobody noted its RECORDs when it was made, so a rewritten one is not seen"
    return words + unnoted


def _print(
    options: argparse.Namespace, stack: str, told: Sequence[str], found: Sequence[Difference] = (), code: int = FINE
) -> int:
    if options.json:
        rows = [{name: getattr(row, name) for name in ("kind", "package", "saw", "expected", "fix")} for row in found]
        document = {"schema_version": SCHEMA, "stack": stack, "ok": not code, "differences": rows, "told": list(told)}
        sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in told))
    return code


def _complain(words: str, code: int) -> int:
    _tell(words)
    return code


def _tell(words: str) -> None:
    sys.stderr.write(f"env: {words}\n")
