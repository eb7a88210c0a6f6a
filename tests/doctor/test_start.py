"""What a look costs before it looks: few modules, little processor time, and a bounded number of programs."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "asyncio",
    "concurrent.futures",
    "email",
    "http.client",
    "multiprocessing",
    "numpy",
    "pydoc",
    "rich",
    "sqlite3",
    "ssl",
    "torch",
    "unittest",
    "urllib.request",
    "xml.etree.ElementTree",
}
MOST_CPU_S = 1.5  # four times what it takes on a quiet machine, so that a busy one does not fail


def test_only_light_modules_are_imported_for_a_look() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "doctor", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert json.loads(done.stdout)["schema_version"] == 1
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "doctor.rules" in imported
    assert imported & HEAVY == set()


def test_a_look_takes_little_of_the_processor() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "doctor", "--json"], cwd=ROOT, capture_output=True, check=False, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent_s < MOST_CPU_S


def test_a_healthy_look_starts_few_programs(tmp_path: Path) -> None:
    """Every program is a child, and every child costs; on a machine without a driver there is little to ask."""
    audit = (
        "import sys; log = open(sys.argv.pop(1), 'a')\n"
        "sys.addaudithook(lambda event, words: event == 'subprocess.Popen' and log.write(str(words[1]) + '\\n'))\n"
        "from doctor.__main__ import main; code = main(['--json']); log.close(); sys.exit(code)"
    )
    log = tmp_path / "programs"
    words = [sys.executable, "-c", audit, str(log)]
    subprocess.run(
        words, cwd=ROOT, capture_output=True, check=False, timeout=60, env={**os.environ, "PATH": "/usr/bin"}
    )
    started = log.read_text(encoding="utf-8").splitlines()
    assert 0 < len(started) <= 12, started
