"""Digests come from a registry, here a small one that speaks the manifest API over real HTTP; none is invented."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.containers.menu import main
from repro.containers.pins import LOCK, PinError, Reference, base_of, digest_of, parse_reference, pin, read_pins

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


class Registry(BaseHTTPRequestHandler):
    """Answers for team/base:1 (open), team/guarded:1 (with a token), team/liar:1 (with a wrong digest)."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        if self.path.startswith("/token"):
            return self._answer(200, json.dumps({"token": "let-me-in"}).encode())
        if self.path == "/v2/team/guarded/manifests/1" and self.headers["Authorization"] != "Bearer let-me-in":
            told = f'Bearer realm="http://{self.headers["Host"]}/token",service="here",scope="repository:team/guarded:pull"'
            return self._answer(401, b"{}", {"WWW-Authenticate": told})
        if self.path == "/v2/team/liar/manifests/1":
            return self._answer(200, MANIFEST, {"Docker-Content-Digest": "sha256:" + "0" * 64})
        if self.path in {"/v2/team/base/manifests/1", "/v2/team/guarded/manifests/1"}:
            assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            return self._answer(200, MANIFEST, {"Docker-Content-Digest": DIGEST})
        if self.path == "/v2/team/huge/manifests/1":
            return self._answer(200, b" " * (5 << 20))
        return self._answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')

    def _answer(self, code: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    server = ThreadingHTTPServer(("localhost", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def lock(path: Path, **names: str) -> Path:
    rows = {stem: {"name": name, "digest": None} for stem, name in names.items()}
    path.write_text(json.dumps({"schema_version": 1, "images": rows}), encoding="utf-8")
    return path


def test_the_digest_is_that_of_the_manifest(registry: str) -> None:
    assert digest_of(f"{registry}/team/base:1") == DIGEST


def test_a_registry_may_want_an_anonymous_token_first(registry: str) -> None:
    assert digest_of(f"{registry}/team/guarded:1") == DIGEST
    assert "/token?service=here&scope=repository%3Ateam%2Fguarded%3Apull" in Registry.seen


def test_a_digest_that_the_bytes_do_not_have_is_not_believed(registry: str) -> None:
    with pytest.raises(PinError, match="its manifest's bytes are sha256:"):
        digest_of(f"{registry}/team/liar:1")


def test_a_name_that_the_registry_does_not_know_is_told(registry: str) -> None:
    with pytest.raises(PinError, match="answers 404"):
        digest_of(f"{registry}/team/nothing:1")


def test_a_manifest_of_megabytes_is_not_read_to_its_end(registry: str) -> None:
    with pytest.raises(PinError, match="more than 4 MiB"):
        digest_of(f"{registry}/team/huge:1")


def test_docker_pin_writes_the_digests_and_from_takes_them(registry: str, tmp_path: Path) -> None:
    path = lock(tmp_path / "images.lock", native=f"{registry}/team/base:1", upstream=f"{registry}/team/guarded:1")
    assert main(["pin", "--lock", str(path)]) == 0
    assert base_of("cu126", path) == f"{registry}/team/base:1@{DIGEST}"
    assert base_of("upstream", path) == f"{registry}/team/guarded:1@{DIGEST}"


def test_one_base_without_an_answer_leaves_the_lock_as_it_was(
    registry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lock(tmp_path / "images.lock", native=f"{registry}/team/base:1", upstream="localhost:1/nobody:1")
    before = path.read_bytes()
    assert main(["pin", "--lock", str(path)]) == 2
    assert "the registry localhost:1 cannot be reached" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_unpinned_base_is_a_name_and_never_a_digest(tmp_path: Path) -> None:
    assert base_of("cu130", lock(tmp_path / "images.lock", native="debian:bookworm-slim")) == "debian:bookworm-slim"


def test_the_list_of_the_repository_can_be_read() -> None:
    assert set(read_pins(LOCK)) == {"native", "upstream"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"schema_version": 2, "images": {}}',
        '{"schema_version": 1, "images": {"native": {"name": "a:1", "digest": "sha256:1"}}}',
        '{"schema_version": 1, "images": {"native": {"name": "a b", "digest": null}}}',
    ],
)
def test_a_damaged_list_is_named_with_what_to_type(tmp_path: Path, content: str) -> None:
    path = tmp_path / "images.lock"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PinError, match=r"images\.lock|not the name of an image"):
        pin(path)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("debian:bookworm-slim", Reference("registry-1.docker.io", "library/debian", "bookworm-slim")),
        ("docker.io/library/debian", Reference("registry-1.docker.io", "library/debian", "latest")),
        ("team/base", Reference("registry-1.docker.io", "team/base", "latest")),
        ("ghcr.io/team/base:1.2", Reference("ghcr.io", "team/base", "1.2")),
        ("localhost:5000/base", Reference("localhost:5000", "base", "latest")),
    ],
)
def test_names_mean_what_docker_means_by_them(name: str, reference: Reference) -> None:
    assert parse_reference(name) == reference


@given(st.text(alphabet="abz09.:/@-_ A", max_size=40))
def test_a_name_is_read_or_refused_in_words(name: str) -> None:
    with suppress(PinError):
        assert parse_reference(name).manifest.startswith(("http://", "https://"))
