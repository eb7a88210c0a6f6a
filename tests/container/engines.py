"""A real engine for tests: Debian's dockerd on a socket and a data folder of its own, and a base made by mmdebstrap."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

PROGRAMS = {"dockerd": "docker.io", "ip": "iproute2", "mmdebstrap": "mmdebstrap"}
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "ca-certificates,g++,python3,python3-venv"
BASE = "bevready-test-base:bookworm"
START_TIMEOUT_S = 90
BRIDGE_ADDRESS = "203.0.113.1/29"  # of a range for documentation: no network that this machine reaches has it


def unavailable(why: str) -> None:
    """End the test: in CI as a failure, elsewhere as a skip with its reason."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must be able to start a container engine: {why}")
    pytest.skip(f"no container engine can be started here: {why}")


def install_programs() -> None:
    """Install what is missing, in CI only: nobody's own machine gets packages from a test."""
    if os.getuid() != 0:
        unavailable("it needs root")
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not missing:
        return
    if not os.environ.get("CI") or shutil.which("apt-get") is None:
        unavailable(f"install {' '.join(missing)}: sudo apt install {' '.join(missing)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update",), ("install", "--yes", "--no-install-recommends", *missing)):
        done = subprocess.run(["apt-get", *words], env=quiet, capture_output=True, text=True, check=False)
        if done.returncode:
            unavailable(f"apt-get {words[0]}: {done.stderr.strip()[-300:]}")


class Daemon:
    """dockerd with everything in one folder; builds and runs use the host's network or none."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix://{folder / 'docker.sock'}"
        self._log = (folder / "dockerd.log").open("wb")
        # With `--bridge none` dockerd deletes docker0, whosever it is; without the word it takes it over.
        self._bridge = f"bevr-{os.getpid()}"
        _ip("link", "add", "name", self._bridge, "type", "bridge")
        _ip("address", "add", BRIDGE_ADDRESS, "dev", self._bridge)
        places = ("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"))
        network = ("--bridge", self._bridge, "--iptables=false", "--ip-forward=false", "--ip-masq=false")
        pid = ("--pidfile", str(folder / "dockerd.pid"))
        words = ["dockerd", *places, *pid, "--host", self.address, *network]
        self._process = subprocess.Popen(words, stdout=self._log, stderr=subprocess.STDOUT)
        socket = folder / "docker.sock"
        deadline = time.monotonic() + START_TIMEOUT_S
        while not socket.exists() and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        if not socket.exists():
            self.stop()
            unavailable(f"dockerd: {(folder / 'dockerd.log').read_text(errors='replace').strip()[-400:]}")

    def stop(self) -> None:
        """End the daemon and what runs in it."""
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        _ip("link", "delete", self._bridge)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(f"ip {' '.join(words)}: {done.stderr.strip()}")


def make_base(folder: Path) -> Path:
    """Make a Debian with Python and a compiler from the distribution's packages; return it as a tar.

    BEVREADY_TEST_BASE names one that was made before.
    """
    if os.environ.get("BEVREADY_TEST_BASE"):
        return Path(os.environ["BEVREADY_TEST_BASE"])
    path = folder / "base.tar"
    words = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(path), MIRROR]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(f"mmdebstrap: {done.stderr.strip()[-400:]}")
    return path
