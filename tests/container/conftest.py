"""The engines that the life of containers is tried on, docker and podman alike, and the small image on each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from repro.containers.engine import Engine, connect
from repro.containers.labels import tag_of
from tests.container.engines import BASE, DOCKER, PODMAN, SMALL_PACKAGES, Daemon, Podman, install_programs, make_base
from tests.container.small import LONGEST_S, build_of, start, tags, write_checkout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A real engine with a base image that has Python; BEVREADY_TEST_ENGINE names one that runs and has it."""
    named = os.environ.get("BEVREADY_TEST_ENGINE")
    if named:
        running_one = connect({"DOCKER_HOST": named})
        if running_one.name != request.param:
            pytest.skip(f"BEVREADY_TEST_ENGINE is {running_one.name}")
        yield running_one
        running_one.client.close()
        return
    install_programs(DOCKER if request.param == "docker" else PODMAN)
    daemon = Daemon() if request.param == "docker" else Podman()
    try:
        connected = connect({"DOCKER_HOST": daemon.address})
        bring_base(connected, request.getfixturevalue("base"))
        yield connected
        connected.client.close()
    finally:
        daemon.stop()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian with Python as a tar, made once."""
    return make_base(tmp_path_factory.mktemp("base"), SMALL_PACKAGES)


def bring_base(engine: Engine, tar: Path) -> None:
    """Make an image of a tar and name it; podman's import takes no tag."""
    engine.client.api.import_image_from_file(str(tar), repository="imported")
    engine.client.images.get("imported:latest").tag(*BASE.split(":"))
    engine.client.images.remove("imported:latest")


@pytest.fixture(scope="session")
def small(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of a stack `small`, whose image is built once on each engine."""
    root = tmp_path_factory.mktemp("small")
    write_checkout(root)
    done = start(engine, build_of(root)).communicate(timeout=LONGEST_S)
    assert tags(engine) >= {tag_of("small")}, done
    return root
