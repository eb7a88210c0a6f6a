"""Images of bevready's stacks on this host. The engine is asked, within seconds, where containers are meant."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from doctor.facts import Images, Unknown
from doctor.facts.images import BuiltImage
from doctor.probes.container import DAEMON_JSON
from doctor.versions import parse_version

if TYPE_CHECKING:
    from doctor.shell import Host

LOCK = "docker/images.lock"
LABEL = "bevready.stack"
USUAL_ROOT = "/var/lib/docker"


def probe_images(host: Host, *, asked: bool, home: str = "") -> Images | Unknown:
    """Return the images, the unpinned bases and the room for images; Unknown where nobody asked for containers.

    The bases are those of bevready's own list, below `home`.
    """
    if not asked:
        return Unknown("the engine was not asked for images (--for docker)")
    place = data_root(host.read(DAEMON_JSON) or "") or USUAL_ROOT
    space = host.space(place)
    return Images(
        built=_built(host),
        unpinned=parse_lock(host.read(f"{home}/{LOCK}") or "") if home else (),
        place=place if space else "",
        free=space[1] if space else None,
    )


def data_root(text: str) -> str:
    """Return where daemon.json has the engine keep its images; empty where it does not say."""
    document = _object(text)
    place = document.get("data-root")
    return place if isinstance(place, str) and place.startswith("/") else ""


def parse_lock(text: str) -> tuple[str, ...]:
    """Return the names of the base images of docker/images.lock that have no digest."""
    images = _object(text).get("images")
    rows = images.values() if isinstance(images, dict) else ()
    return tuple(
        str(row["name"]) for row in rows if isinstance(row, dict) and row.get("name") and not row.get("digest")
    )


def parse_labels(line: str) -> BuiltImage | None:
    """Read the labels of one image, a line of JSON; None where they name no stack."""
    told = _object(line)
    stack, driver = told.get(LABEL), str(told.get("bevready.min-driver") or "")
    if not isinstance(stack, str) or not re.fullmatch(r"[\w.-]{1,40}", stack):
        return None
    return BuiltImage(
        stack=stack,
        min_driver=parse_version(driver) if re.fullmatch(r"\d{1,4}(\.\d{1,4}){1,3}", driver, re.ASCII) else None,
        base=str(told.get("org.opencontainers.image.base.name") or ""),
        pinned=bool(told.get("org.opencontainers.image.base.digest")),
    )


def _built(host: Host) -> tuple[BuiltImage, ...]:
    engine = host.which("docker") or host.which("podman")
    if not engine:
        return ()
    listed = host.run(engine, "image", "ls", "--quiet", "--no-trunc", "--filter", f"label={LABEL}")
    names = tuple(dict.fromkeys(listed.out.split())) if listed.code == 0 else ()
    if not names:
        return ()
    told = host.run(engine, "image", "inspect", "--format", "{{json .Config.Labels}}", *names)
    return tuple(image for line in told.out.splitlines() if (image := parse_labels(line)))


def _object(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
