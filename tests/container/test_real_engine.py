"""The whole loop on a real engine: build the image of cu130, run the recipe in it, get the host's numbers.

It takes 20 GB of disk and some minutes: it runs in CI (the variable CI is set), and where BEVREADY_FULL_CONTAINER asks
for it. Where no engine can start, it fails in CI and skips elsewhere, saying why. How containers live and die is tried
on a small image, in test_life.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repro.containers.engine import Engine, connect
from tests.container.engines import BASE, Daemon, install_programs, make_base

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
LONGEST_S = 1800  # of one command: the image takes some minutes, on a busy machine a quarter of an hour
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A real engine with the test's base image; BEVREADY_TEST_ENGINE names one that runs and has it."""
    named = os.environ.get("BEVREADY_TEST_ENGINE")
    if named:
        running_one = connect({"DOCKER_HOST": named})
        yield running_one
        running_one.client.close()
        return
    install_programs()
    daemon = Daemon()
    try:
        connected = connect({"DOCKER_HOST": daemon.address})
        repository, tag = BASE.split(":")
        connected.client.api.import_image_from_file(
            str(make_base(tmp_path_factory.mktemp("base"))), repository=repository, tag=tag
        )
        yield connected
        connected.client.close()
    finally:
        daemon.stop()


def invoked(engine: Engine, folder: Path, *words: str) -> str:
    """Run a task as a user would, in `folder`; return what it says on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words],
        cwd=folder,
        env={**os.environ, "DOCKER_HOST": engine.address},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_S,
    )
    assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def figures(run: Path) -> dict[str, float]:
    """Return every figure of a run's evaluation, by its path in the stored value."""
    value = json.loads((run / "evaluate.json").read_text(encoding="utf-8"))["value"]
    return {path: number for path, number in leaves(value) if not path.endswith("seconds")}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{number}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, float(value)


FULL = pytest.mark.skipif(
    not (os.environ.get("CI") or os.environ.get("BEVREADY_FULL_CONTAINER")),
    reason="takes 20 GB of disk and some minutes: set BEVREADY_FULL_CONTAINER=1",
)


@FULL
@pytest.mark.slow
def test_the_recipe_gives_the_hosts_numbers_in_the_container(engine: Engine, tmp_path: Path) -> None:
    trusted = ["--ca", str(BUNDLE)] if os.environ.get("PIP_CERT") and BUNDLE.exists() else []
    mirror = ["--index", os.environ["PIP_INDEX_URL"]] if os.environ.get("PIP_INDEX_URL") else []
    words = ["--stack", "cu130", "--base", BASE, "--arch", "8.0", "--network", "host"]
    assert invoked(engine, tmp_path, "docker-build", *words, *trusted, *mirror).startswith("bevready:cu130 sha256:")
    recipe = ["--recipe", "bevformer_tiny", "--data", "synth", "--smoke", "--device", "cpu", "--force"]
    invoked(engine, tmp_path, "build-ext", "--arch", "all")  # both with the extension: the reference rounds otherwise
    invoked(engine, tmp_path, "repro", *recipe, "--run", "outside")
    invoked(engine, tmp_path, "repro", *recipe, "--run", "inside", "--container", "cu130")
    outside, inside = figures(tmp_path / "outside"), figures(tmp_path / "inside")
    assert len(outside) > 5
    assert inside == pytest.approx(outside, abs=1e-6)
    assert (tmp_path / "inside" / "report.md").stat().st_uid == os.getuid()
    assert not engine.client.containers.list(all=True)
