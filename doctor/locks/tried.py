"""Which modules the interpreter that runs this file can import, a line of JSON each, as soon as it is known.

Runs as a child process of any Python from 3.8 on, alone, with the standard library. Reads the names from stdin, and
keeps what the modules print out of stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import sys


def main() -> None:
    """Import each module that stdin names; say "MODULE": "" or why not."""
    names = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)
        for name in names:
            why = ""
            try:
                importlib.import_module(name)
            except BaseException as error:  # noqa: BLE001 — a module may call sys.exit
                why = type(error).__name__ + ": " + str(error)
            answer.write(json.dumps([name, why]) + "\n")
            answer.flush()


if __name__ == "__main__":
    main()
