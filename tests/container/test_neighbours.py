"""The tests' engine leaves the network of other engines on this machine alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.container.engines import install_programs, unavailable

ROOT = Path(__file__).resolve().parents[2]
TWO_ENGINES = """
import json, subprocess
from tests.container.engines import Daemon

def bridges():
    told = subprocess.run(["ip", "-json", "link", "show", "type", "bridge"], capture_output=True, check=True)
    return sorted(row["ifname"].partition("-")[0] for row in json.loads(told.stdout or "[]"))

subprocess.run(["ip", "link", "add", "name", "docker0", "type", "bridge"], check=True)
seen = [bridges()]
daemons = [Daemon()]
seen.append(bridges())
daemons.pop().stop()
seen.append(bridges())
print(json.dumps(seen))
"""


def test_docker0_of_another_engine_stays() -> None:
    install_programs()
    # in a network of its own: were docker0 taken away after all, it would not be this machine's
    words = ["unshare", "--net", sys.executable, "-c", TWO_ENGINES]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(done.stderr.strip()[-400:])
    assert json.loads(done.stdout) == [["docker0"], ["bevr", "docker0"], ["docker0"]]
