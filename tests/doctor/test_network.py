"""Asking package indexes: a real server here answers, refuses, keeps silent, or shows a certificate of its own."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from doctor.facts import IndexAnswer, Network
from doctor.probes.children import index as child
from doctor.probes.network import probe_network
from doctor.record import Recorder, Subject
from doctor.shell import LiveHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = "/usr/bin/python3"
VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "PIP_CERT", "PIP_PROXY", "PIP_TRUSTED_HOST")
ELSEWHERE = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Index(BaseHTTPRequestHandler):
    """An index whose first path component is the status that it answers with."""

    seen: list[tuple[str, str | None]] = []  # noqa: RUF012 — shared on purpose: the server makes a handler a request

    def do_HEAD(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        words = urlsplit(self.path).path.split("/")
        if words[1] == "slow":
            time.sleep(1)
        status = {"simple": 200, "slow": 200, "only-packages": 200 if "torch" in words else 404}.get(words[1])
        self.send_response(status or int(words[1]))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    Index.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *ELSEWHERE, *PROXIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def ask(*words: str) -> dict[str, dict[str, Any]]:
    """Run the child as the probe does."""
    done = subprocess.run([sys.executable, "-B", child.__file__, *words], capture_output=True, text=True, check=True)
    return {row["url"]: row for row in json.loads(done.stdout)}


def closed_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class TestChild:
    def test_what_a_server_answers(self) -> None:
        with serving() as port:
            base = f"http://127.0.0.1:{port}"
            answers = ask(*(f"{base}/{path}" for path in ("simple", "only-packages", "404", "401", "405", "503")))
        told = {url.rsplit("/", 1)[1]: (row["said"], row["status"]) for url, row in answers.items()}
        assert told == {
            "simple": ("ok", 200),
            "only-packages": ("ok", 200),
            "404": ("status", 404),
            "401": ("status", 401),
            "405": ("ok", 200),
            "503": ("status", 503),
        }

    def test_a_closed_door(self) -> None:
        url = f"http://127.0.0.1:{closed_port()}/simple"
        assert ask(url)[url]["said"] == "refused"

    @pytest.mark.parametrize(
        ("why", "alone", "behind_a_proxy"),
        [
            (socket.gaierror(-2, "Name or service not known"), "name", "proxy"),
            (ConnectionResetError(104, "Connection reset by peer"), "refused", "proxy"),
            (TimeoutError("timed out"), "silent", "proxy"),
            (ssl.SSLCertVerificationError("certificate verify failed"), "certificate", "certificate"),
            (ssl.SSLError("WRONG_VERSION_NUMBER"), "nonsense", "nonsense"),
            (OSError("Tunnel connection failed: 407 Proxy Authentication Required"), "proxy", "proxy"),
            (ValueError("unknown url type"), "nonsense", "nonsense"),
            ("a reason in words", "nonsense", "nonsense"),
        ],
    )
    def test_each_failure_has_a_name(self, why: object, alone: str, behind_a_proxy: str) -> None:
        assert child.refusal(why, proxied=False)["said"] == alone
        assert child.refusal(why, proxied=True)["said"] == behind_a_proxy

    def test_a_password_in_a_failure_is_taken_out(self) -> None:
        assert (
            child.refusal("no way to http://ada:s3cret@proxy:1", proxied=False)["detail"] == "no way to http://proxy:1"
        )

    def test_something_that_is_no_index(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as door:

            def babble() -> None:
                visitor, _ = door.accept()
                visitor.recv(1024)
                visitor.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                visitor.close()

            threading.Thread(target=babble, daemon=True).start()
            url = f"http://127.0.0.1:{door.getsockname()[1]}/simple"
            assert ask(url)[url]["said"] == "nonsense"

    def test_silence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(child, "TIMEOUT_S", 0.2)
        with serving() as port:
            opener = child.opener_for({}, "")
            url = f"http://127.0.0.1:{port}/slow"
            assert child.answer_of(opener, url, proxied=False)["said"] == "silent"

    def test_one_that_is_late_does_not_hold_up_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(child, "PATIENCE_S", 0.3)
        with serving() as port:
            urls = [f"http://127.0.0.1:{port}/{path}" for path in ("slow", "simple")]
            answers = child.ask_all(child.opener_for({}, ""), urls, {})
        assert [row["said"] for row in answers] == ["silent", "ok"]

    def test_a_proxy_that_is_not_there(self) -> None:
        url = "http://index.invalid/simple"
        answer = ask("--proxy", f"http://127.0.0.1:{closed_port()}", url)[url]
        assert answer["said"] == "proxy"

    @pytest.mark.parametrize(("path", "said"), [("407", "proxy"), ("simple", "ok")])
    def test_a_proxy_that_answers(self, path: str, said: str) -> None:
        with serving() as port:
            url = f"http://index.invalid/{path}"
            answers = ask("--proxy", f"http://127.0.0.1:{port}", url)
        assert answers[url]["said"] == said
        assert Index.seen[0][0] == f"{url}/"

    def test_a_host_that_needs_no_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_PROXY", "mirror.example")
        proxies = {"https": "http://proxy.example:3128"}
        assert child.is_proxied(proxies, "https://pypi.org/simple")
        assert not child.is_proxied(proxies, "https://mirror.example/simple")
        assert not child.is_proxied(proxies, "http://pypi.org/simple")

    def test_a_bundle_that_is_none(self, tmp_path: Path) -> None:
        bundle = tmp_path / "company.pem"
        bundle.write_text("not a certificate", encoding="utf-8")
        answer = ask("--cert", str(bundle), "https://index.invalid/simple")["https://index.invalid/simple"]
        assert answer["said"] == "certificate"
        assert str(bundle) in answer["detail"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not installed")
class TestCertificate:
    @pytest.fixture
    def pair(self, tmp_path: Path) -> tuple[Path, Path]:
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
            ],
            check=True,
            capture_output=True,
        )
        return key, certificate

    def test_only_who_knows_it_trusts_it(self, pair: tuple[Path, Path]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair[1], pair[0])
        with serving(context) as port:
            url = f"https://localhost:{port}/simple"
            assert ask(url)[url]["said"] == "certificate"
            assert ask("--cert", str(pair[1]), url)[url]["said"] == "ok"

    def test_plain_text_where_tls_was_expected(self) -> None:
        with serving() as port:
            url = f"https://127.0.0.1:{port}/simple"
            assert ask(url)[url]["said"] == "nonsense"


class TestProbe:
    def test_the_password_is_neither_sent_nor_kept(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with serving() as port:
            place = f"127.0.0.1:{port}"
            monkeypatch.setenv("PIP_INDEX_URL", f"http://ada:s3cret@{place}/401/")
            monkeypatch.setenv("UV_INDEX", f"own=http://{place}/simple")
            recorder = Recorder(LiveHost())
            found = probe_network(recorder, asked=True)
        assert found == Network(
            answers=(
                IndexAnswer(
                    url=f"http://{place}/401",
                    source="PIP_INDEX_URL",
                    said="status",
                    status=401,
                    detail="Unauthorized",
                    password=True,
                ),
                IndexAnswer(url=f"http://{place}/simple", source="UV_INDEX", said="ok", status=200),
            )
        )
        assert all(authorization is None for _, authorization in Index.seen)
        assert "s3cret" not in recorder.save(tmp_path, Subject(PYTHON, "/")).read_text(encoding="utf-8")
        assert found.answers[0].reached
