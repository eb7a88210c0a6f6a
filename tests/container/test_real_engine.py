"""The whole loop on a real engine: build the image, run the recipe in it, get the host's numbers, survive being killed.

The life of containers and of half builds is tried on a small image that a second or two makes. The image of cu130 takes
6 GB and a quarter of an hour: its numbers are compared where BEVREADY_FULL_CONTAINER is set. Where no engine can start,
this fails in CI (the variable CI is set) and skips elsewhere, saying why.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repro.containers.context import sources_digest
from repro.containers.engine import Engine, connect
from repro.containers.labels import ROLE, tag_of
from tests.container.engines import BASE, Daemon, install_programs, make_base

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from repro.containers.building import Order, build
from repro.containers.engine import connect
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
    folder = tmp_path_factory.mktemp("engine")
    daemon = Daemon(folder)
    try:
        connected = connect({"DOCKER_HOST": daemon.address})
        repository, tag = BASE.split(":")
        connected.client.api.import_image_from_file(str(make_base(folder)), repository=repository, tag=tag)
        yield connected
        connected.client.close()
    finally:
        daemon.stop()


@pytest.fixture(scope="module")
def small(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of a stack `small`, whose image has Python and the lease, built once."""
    root = tmp_path_factory.mktemp("small")
    for name in ("repro/__init__.py", "repro/containers/__init__.py", "repro/containers/lease.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((ROOT / name).read_bytes())
    (root / "env" / "small").mkdir(parents=True)
    (root / "env" / "small" / "stack.json").write_text('{"min_driver": "1.0"}', encoding="utf-8")
    (root / "docker").mkdir()
    (root / "docker" / "native.Dockerfile").write_text(SMALL, encoding="utf-8")
    done = start(engine, build_of(root)).communicate()
    assert tags(engine) >= {tag_of("small")}, done
    return root


def build_of(root: Path) -> str:
    order = f"Order(stack='small', base={BASE!r}, no_cache=True, network='none')"
    return f"build(connect(), {order}, root=Path({str(root)!r}))"


def errand_of(folder: Path, code: str) -> str:
    mounts = f"(Mount(path=Path({str(folder)!r}), writable=True),)"
    words = f"(PYTHON, '-c', {code!r})"
    errand = f"Errand(stack='small', words={words}, mounts={mounts}, folder=Path({str(folder)!r}), network='none')"
    return f"sys.exit(run(connect(), {errand}))"


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


def test_words_and_exit_code_come_out_of_the_container(engine: Engine, small: Path, tmp_path: Path) -> None:
    assert small.is_dir()
    code = "import os, sys; print('to stdout', os.getuid()); print('to stderr', file=sys.stderr); sys.exit(7)"
    child = start(engine, errand_of(tmp_path, code))
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out, err) == (7, f"to stdout {os.getuid()}\n", "to stderr\n")
    assert not engine.client.containers.list(all=True)


def test_files_of_a_run_belong_to_the_caller_and_nothing_else_is_written(
    engine: Engine, small: Path, tmp_path: Path
) -> None:
    assert small.is_dir()
    code = (
        "import os, pathlib; pathlib.Path('mine').write_text('x');\n"
        "try: pathlib.Path('/opt/other').write_text('x')\n"
        "except OSError as why: print(why.strerror)\n"
        "print(os.statvfs('/dev/shm').f_blocks * os.statvfs('/dev/shm').f_frsize >> 30)"
    )
    out, err = start(engine, errand_of(tmp_path, code)).communicate(timeout=120)
    assert out == "Read-only file system\n8\n", err
    assert (tmp_path / "mine").stat().st_uid == os.getuid()


def test_ctrl_c_reaches_the_work_which_ends_politely(engine: Engine, small: Path, tmp_path: Path) -> None:
    assert small.is_dir()
    code = (
        "import time\nprint('ready', flush=True)\n"
        "try: time.sleep(100)\nexcept KeyboardInterrupt: open('last', 'w').write('saved')\nraise SystemExit(130)"
    )
    child = start(engine, errand_of(tmp_path, code))
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    assert (tmp_path / "last").read_text(encoding="utf-8") == "saved"
    assert not engine.client.containers.list(all=True)


@pytest.mark.parametrize("seed", range(5))
def test_a_run_that_is_killed_at_any_moment_leaves_no_container_running(
    engine: Engine, small: Path, tmp_path: Path, seed: int
) -> None:
    assert small.is_dir()
    code = "import time, pathlib; pathlib.Path('kept').write_text('x'); time.sleep(100)"
    child = start(engine, errand_of(tmp_path, code))
    time.sleep(random.Random(seed).uniform(0.2, 4.0))  # noqa: S311 — no secret
    child.kill()
    child.communicate()
    assert ends_within(engine, 60)
    again = start(engine, errand_of(tmp_path, "pass"))
    again.communicate(timeout=120)
    assert again.returncode == 0
    assert not engine.client.containers.list(all=True, filters={"label": ROLE})
    assert {path.name for path in tmp_path.iterdir()} <= {"kept"}


@pytest.mark.parametrize("seed", range(4))
def test_a_build_that_is_killed_at_any_moment_leaves_the_image_that_was(engine: Engine, small: Path, seed: int) -> None:
    before = engine.client.images.get(tag_of("small")).id
    child = start(engine, build_of(small))
    time.sleep(random.Random(seed).uniform(0.3, 3.0))  # noqa: S311 — no secret
    child.kill()
    child.communicate()
    assert ends_within(engine, 60)
    image = engine.client.images.get(tag_of("small"))
    assert image.id == before or image.labels["bevready.sources"] == sources_digest(small)
    assert tags(engine) == {BASE, tag_of("small")}


def invoked(engine: Engine, folder: Path, *words: str) -> str:
    """Run a task as a user would, in `folder`; return what it says on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words],
        cwd=folder,
        env={**os.environ, "DOCKER_HOST": engine.address},
        capture_output=True,
        text=True,
        check=False,
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
    not os.environ.get("BEVREADY_FULL_CONTAINER"), reason="builds 6 GB: set BEVREADY_FULL_CONTAINER=1"
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
