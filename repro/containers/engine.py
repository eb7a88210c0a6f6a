"""The container engine: where its socket is, and a connection to it. Docker and podman speak one API."""

from __future__ import annotations

import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import docker.errors

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_ENGINE = (
    "no container engine was found (looked at DOCKER_HOST, CONTAINER_HOST and {places}); install one: "
    "sudo apt install docker.io, or podman and then: systemctl --user enable --now podman.socket"
)
ASK_DOCTOR = "./bevready doctor --for docker says more"
ANSWER_TIMEOUT_S = 60


class EngineError(RuntimeError):
    """An engine that is missing, silent or closed to this user; the message says what to type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A connected engine. `client` is the docker SDK's; `root` is its folder for images, where it says so."""

    client: Any
    address: str
    name: str
    version: str
    rootless: bool
    runtimes: tuple[str, ...]
    root: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.name} {self.version}{', rootless' if self.rootless else ''} at {self.address}"


def connect(env: Mapping[str, str] = os.environ) -> Engine:
    """Return the engine that the environment names, or else the first whose socket is here. Raises EngineError."""
    address = find_address(env)
    try:
        _knock(address)
        client = docker.DockerClient(base_url=address, timeout=ANSWER_TIMEOUT_S)
        told, info = client.version(), client.info()
    except (docker.errors.DockerException, OSError, ValueError) as why:
        raise EngineError(f"the container engine at {address} does not answer: {_last(why)}; {ASK_DOCTOR}") from why
    parts = " ".join(str(part.get("Name", "")) for part in told.get("Components") or ())
    return Engine(
        client=client,
        address=address,
        name="podman" if "podman" in parts.lower() else "docker",
        version=str(told.get("Version", "?")),
        rootless=is_rootless(info),
        runtimes=tuple(sorted(info.get("Runtimes") or ())),
        root=str(info.get("DockerRootDir") or ""),
    )


def is_rootless(info: Mapping[str, Any]) -> bool:
    """Return whether an engine runs without root: docker lists it among its security options, podman says it aside."""
    return bool(info.get("Rootless")) or any("rootless" in str(option) for option in info.get("SecurityOptions") or ())


def find_address(env: Mapping[str, str]) -> str:
    """Return the engine's address: a variable's, else that of the first usual socket that is here.

    Raises EngineError where there is none, or where it is closed to this user.
    """
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        if env.get(name):
            return _opened(env[name])
    places = sockets(env)
    found = [place for place in places if _is_socket(place)]
    if not found:
        raise EngineError(NO_ENGINE.format(places=", ".join(map(str, places))) + f"; {ASK_DOCTOR}")
    mine = [place for place in found if os.access(place, os.R_OK | os.W_OK)]
    return _opened(f"unix://{(mine or found)[0]}")


def sockets(env: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where engines listen: docker, podman and their rootless kinds, the system's docker first."""
    own = Path(env.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    desktop = Path(env.get("HOME") or "/") / ".docker" / "desktop" / "docker.sock"
    return (
        Path("/var/run/docker.sock"),
        own / "docker.sock",
        own / "podman" / "podman.sock",
        Path("/run/podman/podman.sock"),
        desktop,
    )


def _is_socket(place: Path) -> bool:
    try:
        return stat.S_ISSOCK(place.stat().st_mode)
    except OSError:
        return False


def _knock(address: str) -> None:
    """Open and close a connection to a socket of this machine, so that an engine that is not there is told at once."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(ANSWER_TIMEOUT_S)
            asked.connect(address.removeprefix("unix://"))


def _is_missing(place: Path) -> bool:
    try:
        place.stat()
    except PermissionError:
        return False
    except OSError:
        return True
    return False


def _opened(address: str) -> str:
    path = Path(address.removeprefix("unix://"))
    if address.startswith("unix://") and _is_missing(path):
        raise EngineError(f"{address}: nothing is there; start the engine (sudo systemctl start docker); {ASK_DOCTOR}")
    if address.startswith("unix://") and not os.access(path, os.R_OK | os.W_OK):
        words = "sudo usermod -aG docker $USER && newgrp docker"
        raise EngineError(f"{path}: {os.strerror(errno.EACCES)}; join the group that owns it: {words}; {ASK_DOCTOR}")
    return address


def _last(why: BaseException) -> str:
    """Return the innermost reason of a connection that failed, which urllib3 wraps several times."""
    text = str(why)
    inner: BaseException | None = why
    while inner is not None:
        why, inner = inner, inner.__cause__ if inner.__cause__ is not None else inner.__context__
    return str(getattr(why, "strerror", None) or text)[:200]
