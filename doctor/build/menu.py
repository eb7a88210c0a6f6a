"""The menu of `build-ext`: words in, one build or one look into a built file, print. It compiles nothing itself."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.build.info import describe, find_current
from doctor.build.make import SOURCES, BuildError, Built, Order, build
from doctor.consult import UsageError, question_here
from doctor.shell import LiveHost
from doctor.stacks import StackError
from doctor.toolchain import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, FAILED, INTERRUPTED = 0, 2, 130
NO_FILE = "current"


def main(words: Sequence[str] | None = None) -> int:
    """Build, or tell what is inside a built file; return the exit code."""
    options = _parser().parse_args(words)
    started = time.monotonic()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _asked(options, started)
    except KeyboardInterrupt:
        return _complain(options, "interrupted; the build before it is still in place", code=INTERRUPTED)
    except (ToolchainError, BuildError) as why:
        fix = why.fix if isinstance(why.fix, tuple) else (why.fix,)
        found = why if isinstance(why, BuildError) else BuildError(why.saw, fix)
        return _complain(options, found.saw, found.fix, found.code, log=found.log, quoted=found.words)
    except (UsageError, StackError) as why:
        return _complain(options, str(why))
    except OSError as why:
        return _complain(options, f"{why.filename or '?'}: {why.strerror or why}", ("name a folder: BEVREADY_CACHE=…",))
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build-ext",
        description="Build bevready's operators for this torch: g++ and torch's own NVRTC, no CUDA toolkit, no root.",
    )
    parser.add_argument("--arch", default="", help="8.6,9.0 or all (of the stack); default: the GPUs of this machine")
    parser.add_argument("--force", action="store_true", help="build anew, whatever is there and the doctor says")
    parser.add_argument(
        "--info", nargs="?", const=NO_FILE, metavar="FILE", help="tell what is inside a built file and stop"
    )
    parser.add_argument("--python", default="", help="build for the torch of this interpreter")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    parser.add_argument("--sources", type=Path, default=SOURCES, help=argparse.SUPPRESS)
    return parser


def _asked(options: argparse.Namespace, started: float) -> int:
    host = LiveHost()
    python = question_here(host, python=options.python).python
    if options.info is not None:
        file = find_current(host, python, options.sources) if options.info == NO_FILE else Path(options.info)
        return _print_info(file, options)

    def tell(line: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - started:5.1f} s] {line}\n")
        sys.stderr.flush()

    order = Order(python=python, arch=options.arch, force=options.force, folder=options.sources.resolve(), tell=tell)
    built = build(host, order)
    if options.json:
        _print_json(_as_json(built, code=DONE))
    else:
        _print_built(built)
    return DONE


def _print_built(built: Built) -> None:
    told = built.manifest
    done = "built and proven" if built.fresh else "up to date"
    code = ", ".join(told["archs"]) or built.archs_why
    size = built.library.stat().st_size / 1e6
    sys.stdout.write(f"{done} in {built.seconds:.1f} s: {built.library} ({size:.1f} MB)\n")
    sys.stdout.write(f"  for torch {told['torch']['version']}; {'GPU code ' if told['archs'] else ''}{code}\n")
    for line in told.get("proof", {}).get("lines", []):
        sys.stdout.write(f"  {line}\n")


def _as_json(built: Built, *, code: int) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "exit_code": code,
        "fresh": built.fresh,
        "seconds": round(built.seconds, 2),
        "file": str(built.library),
        "archs_why": built.archs_why,
        "manifest": built.manifest,
    }


def _print_info(file: Path, options: argparse.Namespace) -> int:
    told = describe(file)
    if options.json:
        _print_json({"schema_version": 1, "exit_code": DONE, **told})
        return DONE
    made = told["manifest"]
    lines = [f"{file} ({told['size'] / 1e6:.1f} MB, {told['machine']})"]
    if made:
        lines.append(
            f"built {made['built']} with {made['compiler']} for torch {made['torch']['version']}, key {made['key']}"
        )
        lines.append(f"flags: {' '.join(made['flags'])}")
    else:
        lines.append("no manifest: not a build of bevready")
    lines.append(f"GPU code: {', '.join(told['archs']) or 'none'}")
    lines += [
        f"  {image['source']} {image['target']}: {image['size'] / 1e3:.0f} kB, {len(image['kernels'])} kernels"
        for image in told["images"]
    ]
    lines.append(f"needs {', '.join(told['needed'])}; looks in {':'.join(told['search_path']) or 'the usual folders'}")
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def _complain(
    options: argparse.Namespace,
    saw: str,
    fix: tuple[str, ...] = (),
    code: int = FAILED,
    *,
    log: str = "",
    quoted: str = "",
) -> int:
    """Say what went wrong: on stderr, or in the JSON document; return the exit code."""
    if options.json:
        told = {"saw": saw, "fix": list(fix), "log": log, "words": quoted}
        _print_json({"schema_version": 1, "exit_code": code, "error": told})
        return code
    lines = [*(f"    {line}" for line in quoted.splitlines()), f"build-ext: {saw}", *(f"  -> {step}" for step in fix)]
    lines += [f"  the whole log: {log}"] if log else []
    sys.stderr.write("\n".join(lines) + "\n")
    return code


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
