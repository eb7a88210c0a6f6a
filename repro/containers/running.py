"""Running words in a stack's container, which lives no longer than this process and writes only where it is told.

The container belongs to this process in three ways: it stops when our end of its standard input closes (`lease.py`),
the engine removes it when it has stopped (podman: we do), and the next start sweeps away what was left by a kill.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import requests
from docker.types import DeviceRequest
from docker.types import Mount as Bind
from docker.utils.socket import frames_iter

from repro.containers import libpod
from repro.containers.engine import Engine, EngineError
from repro.containers.labels import OWNER, ROLE, tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PYTHON = "/opt/venv/bin/python"
LEASE = (PYTHON, "-m", "repro.containers.lease")
SHM = "8g"
KEPT_VARIABLES = ("BEVREADY_LANG", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
PATIENCE = 3  # how many times Ctrl-C is passed on; the next one ends the container at once
STDOUT, STDERR = 1, 2
NEW_SPEC = "make a CDI file: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
INSTALL_TOOLKIT = (
    "sudo apt install nvidia-container-toolkit && sudo nvidia-ctk runtime configure --runtime=docker"
    " && sudo systemctl restart docker"
)
CAUSES = (  # what engines say when they cannot hand out GPUs, and what to type
    (r'could not select device driver "cdi"', "this docker knows no CDI (25 and newer do): --gpu runtime"),
    (
        r"could not select device driver|unknown or invalid runtime name: nvidia",
        f"NVIDIA's runtime is not installed: {INSTALL_TOOLKIT}; or run without GPU: --gpu none",
    ),
    (r"(?i)\bCDI\b", f"the driver was updated since, or no CDI file names the GPUs; {NEW_SPEC}"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder of the host, at the same place in the container: no word of a command need change."""

    path: Path
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What to run in a stack's image, with which folders, from which folder, and with which GPUs."""

    stack: str
    words: tuple[str, ...]
    mounts: tuple[Mount, ...]
    folder: Path
    variables: tuple[tuple[str, str], ...] = ()
    gpus: str = "none"
    network: str = ""


def settings(
    errand: Errand, engine: Engine, *, owner: str, user: tuple[int, int], env: Mapping[str, str]
) -> dict[str, Any]:
    """Return the errand as the engine's API has it: nothing that the container does not need."""
    devices = {
        "none": [],
        "cdi": [DeviceRequest(driver="cdi", device_ids=["nvidia.com/gpu=all"])],
        "runtime": [DeviceRequest(count=-1, capabilities=[["gpu"]])],
    }
    host: dict[str, Any] = {
        "auto_remove": removes_itself(engine),
        "mounts": [Bind(str(m.path), str(m.path), type="bind", read_only=not m.writable) for m in errand.mounts],
        "shm_size": SHM,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "tmpfs": {"/tmp": "mode=1777,exec"},  # noqa: S108 — the container's own
        "device_requests": devices[errand.gpus] or None,
        "network_mode": errand.network or None,
    }
    return {
        "image": tag_of(errand.stack),
        "entrypoint": list(LEASE),
        "command": list(errand.words),
        "user": user_of(engine, user),
        "working_dir": str(errand.folder),
        "environment": {name: env[name] for name in KEPT_VARIABLES if name in env} | dict(errand.variables),
        "labels": {ROLE: "run", OWNER: owner},
        "stdin_open": True,
        "host_config": host,
    }


def removes_itself(engine: Engine) -> bool:
    """Return whether a container may go away by itself: podman forgets its exit code with it, and says 0."""
    return engine.name != "podman"


def user_of(engine: Engine, user: tuple[int, int]) -> str:
    """Return who runs inside, so that files belong to the caller: without root, docker's user 0 is the caller."""
    return "0:0" if engine.rootless and engine.name == "docker" else f"{user[0]}:{user[1]}"


def run(engine: Engine, errand: Errand) -> int:
    """Run the errand to its end, its words on our stdout and stderr; return its exit code. Raises EngineError."""
    told = settings(errand, engine, owner=f"{_here()}/{os.getpid()}", user=(os.getuid(), os.getgid()), env=os.environ)
    try:
        sweep(engine)
        container = _created(engine, errand, told)
        return _lived(engine.client.api, container, removed=removes_itself(engine))
    except docker.errors.NotFound as why:
        raise EngineError(_gone(str(why.explanation), errand.stack)) from why
    except docker.errors.APIError as why:
        words = str(why.explanation)
        raise EngineError(f"{engine.name}: {words}{advice(words)}; ./bevready doctor --for docker says more") from why
    except requests.RequestException as why:
        raise EngineError(f"{engine} was lost, and the container with it: {why}; the same command goes on") from why


def _created(engine: Engine, errand: Errand, told: dict[str, Any]) -> str:
    """Make the container, not started; return its identity. Raises EngineError for GPUs that podman has no way for."""
    if engine.name == "podman":
        if errand.gpus not in libpod.DEVICES:
            raise EngineError(f"podman hands GPUs out through CDI only; {NEW_SPEC}, then: --gpu cdi")
        return libpod.create(engine, libpod.specification(told, gpus=errand.gpus, rootless=engine.rootless))
    api = engine.client.api
    host = told.pop("host_config")
    return str(api.create_container(**told, host_config=_host_config(api, host))["Id"])


def advice(words: str) -> str:
    """Return "; " and what to type where the engine's words have a known cause, an empty text elsewhere."""
    return next((f"; {fix}" for pattern, fix in CAUSES if re.search(pattern, words)), "")


def _lived(api: Any, container: str, *, removed: bool) -> int:
    """Start a container, show its words until it has ended and is gone; return its exit code.

    `removed`: the engine removes it. Its end must then be waited for before it starts, since it may be quick.
    """
    with ThreadPoolExecutor(1) as waiting:
        end = waiting.submit(api.wait, container, condition="removed") if removed else None
        try:
            with _attached(api, container) as answers, _passing_signals(api, container):
                api.start(container)
                _show(answers)
                return int((end.result() if end else api.wait(container))["StatusCode"])
        finally:
            _remove(api, container)


def _host_config(api: Any, host: dict[str, Any]) -> Any:
    return api.create_host_config(**{key: value for key, value in host.items() if value is not None})


def _gone(words: str, stack: str) -> str:
    if "image" in words.lower():
        return f"there is no image {tag_of(stack)}; build it: ./bevready docker-build --stack {stack}"
    return f"the container is gone: {words}"


@contextmanager
def _attached(api: Any, container: str) -> Iterator[Any]:
    """Hold the container's standard input open, and yield what it says; when we go, its input closes."""
    words = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    held = api.attach_socket(container, words)
    try:
        yield held
    finally:
        with suppress(OSError):
            held.close()


def _show(held: Any) -> None:
    """Copy the container's words to ours until it says no more."""
    for stream, content in frames_iter(held, tty=False):
        out = sys.stdout if stream == STDOUT else sys.stderr
        out.buffer.write(content)
        out.flush()


@contextmanager
def _passing_signals(api: Any, container: str) -> Iterator[None]:
    """Pass Ctrl-C and SIGTERM on to the work, which stops politely; end it at once when asked again and again."""
    asked = 0

    def ask(number: int, _frame: object) -> None:
        nonlocal asked
        asked += 1
        with suppress(Exception):  # it may have ended this very moment
            api.kill(container, signal.SIGKILL if asked > PATIENCE else number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def sweep(engine: Engine) -> None:
    """Remove containers of ours whose starter is gone: made and never started, or left by an engine that was killed."""
    for container in engine.client.containers.list(all=True, filters={"label": ROLE}, ignore_removed=True):
        where, _, owner = container.labels.get(OWNER, "").rpartition("/")
        if where == _here() and not Path("/proc", owner).exists():
            _remove(engine.client.api, container.id)


def _here() -> str:
    """Return what names the processes that we can see: this start of this machine, and its space of process numbers."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}-{Path('/proc/self/ns/pid').readlink()}"


def _remove(api: Any, container: str) -> None:
    """Remove a container that may be gone, or be on its way out."""
    with suppress(docker.errors.APIError):
        api.remove_container(container, force=True)
