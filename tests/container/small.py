"""A small image that a second or two makes, and children that build it and run in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.container.engines import BASE

if TYPE_CHECKING:
    from repro.containers.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
LONGEST_S = 300  # of anything on the small image: a machine may be busy, an engine may hang
PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from repro.containers.building import Order, build
from repro.containers.engine import connect
from repro.containers.menu import answered
from repro.containers.running import PYTHON, Errand, Mount, run
{work}
"""
SMALL = """
ARG BASE
FROM ${BASE}
ARG STACK
ARG SOURCES
COPY repro/ /opt/bevready/repro/
RUN mkdir -p /opt/venv/bin && ln -sf /usr/bin/python3 /opt/venv/bin/python && echo "$SOURCES" >/made
RUN sleep 1
ENV PYTHONPATH=/opt/bevready
LABEL bevready.stack="${STACK}" bevready.sources="${SOURCES}"
"""


def write_spec(engine: Engine, node: str) -> bool:
    """Describe a made-up GPU to an engine of the tests, the file `node` for its device; return whether it reads CDI.

    An engine that BEVREADY_TEST_ENGINE names may be somebody's own: nothing is written for it unless BEVREADY_TEST_CDI
    names the folder.
    """
    named, beside = os.environ.get("BEVREADY_TEST_ENGINE"), Path(engine.address.removeprefix("unix://")).parent / "cdi"
    if named and not os.environ.get("BEVREADY_TEST_CDI"):
        pytest.skip("BEVREADY_TEST_ENGINE without BEVREADY_TEST_CDI: no folder for a made-up GPU")
    folder = Path(os.environ["BEVREADY_TEST_CDI"]) if named else beside
    edits = {
        "deviceNodes": [{"path": "/dev/nvidia0", "hostPath": node}],
        "env": ["MADE_UP_GPU=yes"],
        "mounts": [
            {"hostPath": str(ROOT / "LICENSE"), "containerPath": "/usr/lib/libcuda.so.1", "options": ["ro", "rbind"]}
        ],
    }
    spec = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": edits}]}
    if folder.is_dir():
        (folder / "nvidia.json").write_text(json.dumps(spec), encoding="utf-8")
    return folder.is_dir()


def write_checkout(root: Path) -> None:
    """Write a checkout of the stack `small`, whose image has Python and the lease."""
    for name in ("repro/__init__.py", "repro/containers/__init__.py", "repro/containers/lease.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((ROOT / name).read_bytes())
    (root / "env" / "small").mkdir(parents=True)
    (root / "env" / "small" / "stack.json").write_text('{"min_driver": "1.0"}', encoding="utf-8")
    (root / "docker").mkdir()
    (root / "docker" / "native.Dockerfile").write_text(SMALL, encoding="utf-8")


def build_of(root: Path) -> str:
    order = f"Order(stack='small', base={BASE!r}, no_cache=True, network='none')"
    return f"build(connect(), {order}, root=Path({str(root)!r}))"


def errand_of(folder: Path, code: str, gpus: str = "none") -> str:
    mounts = f"(Mount(path=Path({str(folder)!r}), writable=True),)"
    words = f"(PYTHON, '-c', {code!r})"
    where = f"mounts={mounts}, folder=Path({str(folder)!r}), gpus={gpus!r}, network='none'"
    return f"sys.exit(answered(lambda: run(connect(), Errand(stack='small', words={words}, {where}))))"


def start(engine: Engine, work: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(root=str(ROOT), work=work)],
        env={**os.environ, "DOCKER_HOST": engine.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tags(engine: Engine) -> set[str]:
    """Return the names of images; podman says where a short name would come from."""
    return {tag.removeprefix("docker.io/library/") for image in engine.client.images.list() for tag in image.tags}


def running(engine: Engine) -> list[Any]:
    found: list[Any] = engine.client.containers.list(ignore_removed=True)
    return found


def ends_within(engine: Engine, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while running(engine) and time.monotonic() < deadline:
        time.sleep(0.3)
    return not running(engine)
