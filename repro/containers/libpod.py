"""Making a container through podman's own API. Everything else of a container's life podman shares with docker.

Its imitation of docker's `create` drops what asks for GPUs without a word (seen with 4.3.1): the container starts
and has none. Source of the names: podman's SpecGenerator, https://docs.podman.io/en/latest/_static/api.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import docker.errors
import requests
from docker.utils import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from repro.containers.engine import Engine

DEVICES: dict[str, list[dict[str, str]]] = {"none": [], "cdi": [{"path": "nvidia.com/gpu=all"}]}
NETWORK_MODES = ("bridge", "container", "host", "none", "private", "slirp4netns", "pasta")


def specification(told: Mapping[str, Any], *, gpus: str, rootless: bool) -> dict[str, Any]:
    """Return what docker's API has as `told` (running.settings) in podman's words. `gpus` is "cdi" or "none"."""
    host = told["host_config"]
    mounts = [
        {
            "type": "bind",
            "source": row["Source"],
            "destination": row["Target"],
            "options": ["rbind", "ro" if row["ReadOnly"] else "rw"],
        }
        for row in host["mounts"]
    ]
    mounts += [
        {"type": "tmpfs", "destination": place, "options": options.split(",")}
        for place, options in host["tmpfs"].items()
    ]
    spec = {
        "image": told["image"],
        "entrypoint": told["entrypoint"],
        "command": told["command"],
        "user": told["user"],
        "work_dir": told["working_dir"],
        "env": told["environment"],
        "labels": told["labels"],
        "stdin": told["stdin_open"],
        "mounts": mounts,
        "shm_size": parse_bytes(host["shm_size"]),
        "cap_drop": host["cap_drop"],
        "no_new_privileges": True,
        "read_only_filesystem": host["read_only"],
        "devices": DEVICES[gpus],
    }
    spec |= network(host["network_mode"] or "")
    return spec | ({"userns": {"nsmode": "keep-id"}} if rootless else {})


def network(name: str) -> dict[str, Any]:
    """Return in podman's words what docker calls the network `name`: a mode, container:ID, or one of the engine's."""
    mode, _, value = name.partition(":")
    if not name:
        return {}
    if mode in NETWORK_MODES:
        return {"netns": {"nsmode": mode} | ({"value": value} if value else {})}
    return {"netns": {"nsmode": "bridge"}, "Networks": {name: {}}}


def create(engine: Engine, spec: Mapping[str, Any]) -> str:
    """Make a container that is not started; return its identity. Raises docker.errors.APIError."""
    api = engine.client.api
    answer = api.post(
        f"{api.base_url}/v{engine.version}/libpod/containers/create", json=dict(spec), timeout=api.timeout
    )
    try:
        answer.raise_for_status()
    except requests.HTTPError as why:
        docker.errors.create_api_error_from_http_exception(why)  # raises
    return str(answer.json()["Id"])
