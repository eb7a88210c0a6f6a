"""The pages of the menu about containers: docker-build, docker-run, docker-doctor and docker-pin."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from invoke.context import Context  # noqa: TC002 — invoke reads the annotations
from invoke.tasks import task

from repro.menu.words import leave, passed_to
from repro.menu.words import words as words_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def _docker(typed: Sequence[str]) -> int:
    from repro.containers.menu import main

    return main(typed)


@task(
    name="docker-build",
    help={
        "stack": "a folder of env/",
        "base": "another base image than that of docker/images.lock",
        "arch": "the GPUs to build the operators for: 8.6,9.0 or all (of the stack)",
        "ca": "a file of certificates (PEM) that the build must trust",
        "index": "a mirror of the package index",
        "extra-index": "a second one, asked too",
        "network": "host, where the engine's own network reaches no index",
        "no-cache": "build every step anew",
    },
)
@passed_to(_docker, "build")
def docker_build_task(
    _: Context,
    stack: str = "cu130",
    base: str = "",
    arch: str = "",
    ca: str = "",
    index: str = "",
    extra_index: str = "",
    network: str = "",
    no_cache: bool = False,
) -> None:
    """Build the image of a stack; its name moves to it when it is whole."""


_WHERE = {
    "stack": "a folder of env/",
    "gpu": "how GPUs get in: auto, cdi, runtime (--gpus all) or none",
    "network": "the container's network (default: the engine's)",
    "force": "go on although host and image do not fit",
}


@task(name="docker-run", help={**_WHERE, "words": "a task with its words: 'recipes --json'"})
def docker_run_task(
    _: Context, words: str, stack: str = "cu130", gpu: str = "", network: str = "", force: bool = False
) -> None:
    """Run a task of bevready in the container of a stack; runs/ and data/ of this folder are in it."""
    options = words_of({"--stack": stack, "--gpu": gpu, "--network": network, "--force": force})
    leave(_docker(["run", *options, "--", *shlex.split(words)]))


@task(name="docker-doctor", help=_WHERE)
@passed_to(_docker, "doctor")
def docker_doctor_task(_: Context, stack: str = "cu130", gpu: str = "", network: str = "", force: bool = False) -> None:
    """Judge this host's engine, the image of a stack, whether the two fit, and the machine seen from inside."""


@task(name="docker-pin", positional=[])
@passed_to(_docker, "pin")
def docker_pin_task(_: Context) -> None:
    """Write the digests of the base images, as their registry says them, to docker/images.lock."""
