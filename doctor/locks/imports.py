"""Whether what a stack is for can be imported: files that are all as published may still not work together."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.locks.judge import Difference

if TYPE_CHECKING:
    from collections.abc import Sequence

TRIED = Path(__file__).with_name("tried.py")


def broken_imports(prefix: Path, modules: Sequence[str]) -> list[Difference]:
    """Import each of `modules` in one child process of the environment; return those that fail, with their words."""
    if not modules:
        return []
    command = [str(prefix / "bin" / "python"), "-I", str(TRIED)]
    done = subprocess.run(  # noqa: S603
        command, input=json.dumps(list(modules)), capture_output=True, text=True, errors="replace", check=False
    )
    told = dict(json.loads(line) for line in done.stdout.splitlines())
    fix = f"see why: {command[0]} -c 'import {{}}'"
    return [
        Difference("import", name, f"cannot be imported ({why})", "this stack is for it", fix.format(name))
        for name in modules
        if (why := told.get(name, f"the interpreter ended with exit code {done.returncode}"))
    ]
