"""Real engines for tests: Debian's dockerd and podman, each on a socket and folders of its own; bases by mmdebstrap."""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repro.containers.menu import CDI_SINCE
from tests.debian import bring

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCKER = {"dockerd": "docker.io", "ip": "iproute2", "mmdebstrap": "mmdebstrap"}  # program: its package
PODMAN = {"podman": "podman", "unshare": "util-linux", "mmdebstrap": "mmdebstrap"}
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "ca-certificates,g++,python3,python3-venv"
BASE = "bevready-test-base:bookworm"
SMALL_PACKAGES = "python3"
START_TIMEOUT_S = 90
BRIDGES = itertools.count()
PODMAN_SETTINGS = """
[containers]
default_ulimits = ["nofile={nofile}:{nofile}", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
PODMAN_SERVICE = """
mount -t tmpfs none "$0/etc"
mkdir "$0/etc/upper" "$0/etc/work"
mount -t overlay none -o "lowerdir=/etc,upperdir=$0/etc/upper,workdir=$0/etc/work" /etc
mkdir -p /etc/cdi
mount --bind "$0/cdi" /etc/cdi
exec podman --root "$0/root" --runroot "$0/run" --tmpdir "$0/tmp" --network-config-dir "$0/net" \\
    system service --time=0 "unix://$0/podman.sock"
"""
BRIDGE_ADDRESS = "203.0.113.1/29"  # of a range for documentation: no network that this machine reaches has it


def unavailable(why: str) -> None:
    """End the test: in CI as a failure, elsewhere as a skip with its reason."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must be able to start a container engine: {why}")
    pytest.skip(f"no container engine can be started here: {why}")


def install_programs(programs: Mapping[str, str] = DOCKER) -> None:
    """Have an engine's programs on PATH; nobody's own machine gets packages from a test."""
    if os.getuid() != 0:
        unavailable("it needs root")
    bring(programs)


class Daemon:
    """dockerd with everything in one folder; builds and runs use the host's network or none."""

    def __init__(self) -> None:
        self.folder = folder = short_folder()
        self.address = f"unix://{folder / 'docker.sock'}"
        self._log = (folder / "dockerd.log").open("wb")
        # With `--bridge none` dockerd deletes docker0, whosever it is; without the word it takes it over.
        self._bridge = _bridge()
        places = ("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"))
        network = ("--bridge", self._bridge, "--iptables=false", "--ip-forward=false", "--ip-masq=false")
        pid = ("--pidfile", str(folder / "dockerd.pid"))
        words = ["dockerd", *places, *pid, "--host", self.address, *network, *_cdi(folder)]
        self._process = subprocess.Popen(words, stdout=self._log, stderr=subprocess.STDOUT)
        if not _listens(folder / "docker.sock", self._process):
            self.stop()
            unavailable(f"dockerd: {(folder / 'dockerd.log').read_text(errors='replace').strip()[-400:]}")

    def stop(self) -> None:
        """End the daemon and what runs in it, and take its images off the disk."""
        _end(self._process)
        self._log.close()
        _unmount_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        _ip("link", "delete", self._bridge)


class Podman:
    """Podman's service with everything in one folder, `cdi` in it for /etc/cdi: it sees an /etc of its own."""

    def __init__(self) -> None:
        self.folder = folder = short_folder()
        self.address = f"unix://{folder / 'podman.sock'}"
        for name in ("cdi", "etc"):
            (folder / name).mkdir()
        nofile = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        settings = folder / "containers.conf"
        settings.write_text(PODMAN_SETTINGS.format(nofile=nofile), encoding="utf-8")
        self._log = (folder / "podman.log").open("wb")
        self._process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-euc", PODMAN_SERVICE, str(folder)],
            env={**os.environ, "CONTAINERS_CONF": str(settings)},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        if not _listens(folder / "podman.sock", self._process):
            self.stop()
            unavailable(f"podman: {(folder / 'podman.log').read_text(errors='replace').strip()[-400:]}")

    def stop(self) -> None:
        """End the service and take its images off the disk; its mounts go with its name space."""
        _end(self._process)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _bridge() -> str:
    """Make a bridge of this process's own; return its name."""
    name = f"bevr-{os.getpid()}-{next(BRIDGES)}"
    _ip("link", "add", "name", name, "type", "bridge")
    try:
        _ip("address", "add", BRIDGE_ADDRESS, "dev", name)
    except BaseException:
        _ip("link", "delete", name)
        raise
    return name


def _cdi(folder: Path) -> tuple[str, ...]:
    """Return the words that have dockerd read CDI files from `cdi` in a folder; none before version 25."""
    told = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=False).stdout
    major = re.search(r"version (\d+)", told)
    if major is None or int(major[1]) < CDI_SINCE:
        return ()
    (folder / "cdi").mkdir()
    settings = {"features": {"cdi": True}, "cdi-spec-dirs": [str(folder / "cdi")]}
    (folder / "daemon.json").write_text(json.dumps(settings), encoding="utf-8")
    return ("--config-file", str(folder / "daemon.json"))


def short_folder() -> Path:
    """Return a new folder: a socket's path has 107 characters at most, podman's run folder 50; pytest's are longer."""
    return Path(tempfile.mkdtemp(prefix="bevr-"))


def _unmount_below(folder: Path) -> None:
    """Unmount what a daemon left behind in its folder, which goes away."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for place in sorted((place for place in mounts if Path(place).is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=False)


def _listens(socket: Path, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a socket is there; return False where its process ends before."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not socket.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    return socket.exists()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(f"ip {' '.join(words)}: {done.stderr.strip()}")


def make_base(folder: Path, packages: str = PACKAGES) -> Path:
    """Make a Debian with Python (and a compiler) from the distribution's packages; return it as a tar.

    BEVREADY_TEST_BASE names one that was made before.
    """
    if os.environ.get("BEVREADY_TEST_BASE"):
        return Path(os.environ["BEVREADY_TEST_BASE"])
    path = folder / "base.tar"
    words = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", str(path), MIRROR]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(f"mmdebstrap: {done.stderr.strip()[-400:]}")
    return path
