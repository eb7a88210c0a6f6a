"""`docker/images.lock`: the digest of each base image as its registry says it; null where nobody has asked yet."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, Field

from repro.atomic import write_json
from repro.containers.context import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LOCK = ROOT / "docker" / "images.lock"
SCHEMA_VERSION: Literal[1] = 1
HUB = "registry-1.docker.io"
REFERENCE = re.compile(
    r"(?:(?P<host>localhost(?::\d+)?|[\w-]+(?:\.[\w.-]+)+(?::\d+)?|[\w-]+:\d+)/)?"
    r"(?P<path>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?"
)
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
TIMEOUT_S = 30
MAX_MANIFEST = 4 << 20


class PinError(RuntimeError):
    """A lock that cannot be read, or a registry that gives no digest; the message says what to type."""


class Base(BaseModel, extra="forbid", frozen=True):
    """A base image: its name, and the digest of what the registry keeps under that name."""

    name: str
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None


class _Lock(BaseModel, extra="forbid", frozen=True):
    schema_version: Literal[1]
    images: dict[str, Base]


@dataclass(frozen=True, slots=True)
class Reference:
    """An image by name, as `debian:bookworm-slim` or `localhost:5000/team/base:1`."""

    host: str
    path: str
    tag: str

    @property
    def manifest(self) -> str:
        """Return the address of its manifest; a registry on this machine is asked without TLS, as docker does."""
        name = self.host.partition(":")[0]
        scheme = "http" if name in {"localhost", "127.0.0.1"} else "https"
        return f"{scheme}://{self.host}/v2/{self.path}/manifests/{self.tag}"


def parse_reference(name: str) -> Reference:
    """Read an image's name as docker does. Raises PinError for one that is none."""
    match = REFERENCE.fullmatch(name)
    if match is None or len(name) > 255:
        raise PinError(f"{name[:80]}: not the name of an image; expected NAME:TAG or HOST/NAME:TAG, no digest")
    host, path = match["host"] or HUB, match["path"]
    if host in {"docker.io", "index.docker.io"}:
        host = HUB
    return Reference(host, f"library/{path}" if host == HUB and "/" not in path else path, match["tag"] or "latest")


def read_pins(path: Path = LOCK) -> dict[str, Base]:
    """Return the base of each Dockerfile, by its name's first word. Raises PinError."""
    try:
        rows = _Lock.model_validate_json(path.read_bytes()).images
    except (OSError, ValueError) as why:
        seen = str(why).replace("\n", " ")[:200]
        raise PinError(f"{path}: not a list of base images ({seen}); restore it: git checkout -- {path}") from why
    for row in rows.values():
        parse_reference(row.name)
    return rows


def base_of(stack: str, path: Path = LOCK) -> str:
    """Return what FROM takes for a stack: NAME@DIGEST, or NAME where the base is not pinned. Raises PinError."""
    row = read_pins(path).get("upstream" if stack == "upstream" else "native")
    if row is None:
        raise PinError(f"{path}: no base for {stack}; restore it: git checkout -- {path}")
    return f"{row.name}@{row.digest}" if row.digest else row.name


def pin(path: Path = LOCK) -> dict[str, Base]:
    """Ask the registry for the digest of each base and write the lock, whole or not at all. Raises PinError."""
    pinned = {stem: Base(name=row.name, digest=digest_of(row.name)) for stem, row in read_pins(path).items()}
    write_json(path, _Lock(schema_version=SCHEMA_VERSION, images=pinned).model_dump())
    return pinned


def digest_of(name: str) -> str:
    """Return the digest under which the registry keeps what `name` means now. Raises PinError.

    The digest is computed from the manifest's bytes; a registry that says another one in its header is not believed.
    """
    reference = parse_reference(name)
    answer = _ask(reference)
    if answer.status_code != requests.codes.ok:
        raise PinError(f"{name}: {reference.host} answers {answer.status_code} {answer.reason}; is the name right?")
    content = answer.content
    computed = f"sha256:{hashlib.sha256(content).hexdigest()}"
    said = answer.headers.get("Docker-Content-Digest", computed)
    if said != computed:
        raise PinError(f"{name}: {reference.host} says {said[:80]}, and its manifest's bytes are {computed}")
    return computed


def _ask(reference: Reference) -> requests.Response:
    """Fetch the manifest, with a token where the registry names a place to get one."""
    try:
        answer = _get(reference.manifest)
        if answer.status_code == requests.codes.unauthorized:
            answer = _get(reference.manifest, token=_token(answer.headers.get("WWW-Authenticate", "")))
    except requests.RequestException as why:
        raise PinError(
            f"the registry {reference.host} cannot be reached ({type(why).__name__}); nothing was written: "
            "without its answer there is no digest"
        ) from why
    return answer


def _get(address: str, token: str = "") -> requests.Response:
    headers = {"Accept": MANIFESTS, **({"Authorization": f"Bearer {token}"} if token else {})}
    with requests.get(address, headers=headers, timeout=TIMEOUT_S, stream=True) as answer:
        content = answer.raw.read(MAX_MANIFEST + 1, decode_content=True)
        if len(content) > MAX_MANIFEST:
            raise PinError(f"{address}: more than {MAX_MANIFEST >> 20} MiB; a manifest has a few kB")
        answer._content = content  # noqa: SLF001 — read once, with a limit
        return answer


def _token(challenge: str) -> str:
    """Return an anonymous token from the place that the registry names in its challenge. Raises PinError."""
    told = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = told.pop("realm", "")
    if urlsplit(realm).scheme not in {"http", "https"}:
        raise PinError(f"the registry wants a login that is not known here: {challenge[:80] or 'it says nothing'}")
    answer = requests.get(realm, params=told, timeout=TIMEOUT_S)
    document: Any = answer.json() if answer.ok else {}
    return str(document.get("token") or document.get("access_token") or "")
