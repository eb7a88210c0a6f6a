"""Fixtures that every room of the tests may use."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from repro.data.coco.synth import SynthOptions, write_synth_coco
from repro.data.synth import write_synth
from tests.data.small_nuscenes import write_small_nuscenes

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]

# a job in the background ignores Ctrl-C, and its children inherit that; the children of tests must hear it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# a busy machine is slow, not wrong
settings.register_profile("bevready", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bevready")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Return the folder of golden outputs and real frames that stands beside the checkout."""
    folder = ROOT.parent / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip(f"{folder} is not here: golden outputs and the real frame are not part of the repository")
    return folder


@pytest.fixture(scope="session")
def synth_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a synthetic data set of two scenes with three key frames each, written once a session."""
    root = tmp_path_factory.mktemp("synth") / "data"
    write_synth(root, scenes=2, frames=3)
    return root


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small nuScenes of `tests/data/small_nuscenes.py`, written once a session; nobody may change it."""
    return write_small_nuscenes(tmp_path_factory.mktemp("nuscenes") / "root")


@pytest.fixture(scope="session")
def synth_coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a synthetic COCO data set of eight training and three evaluation images, written once a session."""
    root = tmp_path_factory.mktemp("synth-coco") / "data"
    write_synth_coco(root, SynthOptions(train=8, val=3))
    return root


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a file system of its own, as small as the test's parameter says; where none may be mounted, CI fails."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("a full disk needs the right to mount one")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
