"""Fetching against a real server: resumed after a cut, refused when wrong, from the next mirror when one fails."""

from __future__ import annotations

import hashlib
import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from repro.fetch import CHUNK, FetchError, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 4000  # 1 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Shelf(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT under names that say how it behaves."""

    seen: list[tuple[str, str]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.seen.append((self.path, wanted))
        if self.path == "/missing.pth":
            self.send_error(404)
            return
        tag = f'"{len(self.seen)}"' if self.path == "/changing.pth" else '"same"'
        start = 0
        if wanted and self.headers.get("If-Range") == tag and self.path != "/no_ranges.pth":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.path in {"/cut.pth", "/changing.pth", "/no_ranges.pth"} and len(self.seen) == 1
        self.wfile.write(body[: len(body) // 2] if cut or self.path == "/always_cut.pth" else body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    Shelf.seen = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as shelf:
        threading.Thread(target=shelf.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{shelf.server_address[1]}"
        shelf.shutdown()


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_with_progress_and_its_digest(server: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    digest = fetch([f"{server}/a.pth"], tmp_path / "a.pth", sha256=DIGEST, tell=lambda *words: told.append(words))
    assert digest == DIGEST
    assert (tmp_path / "a.pth").read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert left_over(tmp_path) == ["a.pth"]


def test_a_cut_transfer_goes_on_where_it_stopped(server: str, tmp_path: Path) -> None:
    fetch([f"{server}/cut.pth"], tmp_path / "a.pth", sha256=DIGEST)
    first, second = (wanted for _, wanted in Shelf.seen)
    assert first == ""
    assert len(CONTENT) // 2 - CHUNK <= int(second.removeprefix("bytes=").removesuffix("-")) <= len(CONTENT) // 2
    assert (tmp_path / "a.pth").read_bytes() == CONTENT


def test_a_later_command_resumes_what_an_earlier_one_left(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.pth.part").write_bytes(CONTENT[:1000])
    (tmp_path / "a.pth.part.etag").write_text('"same"')
    fetch([f"{server}/a.pth"], tmp_path / "a.pth", sha256=DIGEST)
    assert Shelf.seen == [("/a.pth", "bytes=1000-")]
    assert left_over(tmp_path) == ["a.pth"]


@pytest.mark.parametrize("name", ["changing", "no_ranges"])
def test_a_file_that_changed_or_a_server_without_ranges_starts_over(server: str, tmp_path: Path, name: str) -> None:
    fetch([f"{server}/{name}.pth"], tmp_path / "a.pth", sha256=DIGEST)
    assert (tmp_path / "a.pth").read_bytes() == CONTENT


def test_a_part_that_nothing_vouches_for_is_not_continued(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.pth.part").write_bytes(b"something else")
    fetch([f"{server}/a.pth"], tmp_path / "a.pth", sha256=DIGEST)
    assert (tmp_path / "a.pth").read_bytes() == CONTENT


def test_the_next_mirror_is_asked_when_one_lacks_the_file(server: str, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/a.pth"
    fetch([nobody, f"{server}/missing.pth", f"{server}/a.pth"], tmp_path / "a.pth")
    assert [path for path, _ in Shelf.seen] == ["/missing.pth", "/a.pth"]


def test_a_wrong_digest_is_refused_and_nothing_stays(server: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=rf"the file has the SHA-256 {DIGEST[:16]}…, expected 00000000…; thrown away"):
        fetch([f"{server}/a.pth"], tmp_path / "a.pth", sha256="00000000")
    assert left_over(tmp_path) == []


def test_without_any_mirror_each_answer_and_the_place_for_the_file_are_named(server: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        fetch([f"{server}/missing.pth", "http://127.0.0.1:9/a.pth"], tmp_path / "a.pth", sha256="0676ba61")
    lines = str(caught.value).split("\n")
    assert lines[0] == f"{server}/missing.pth: 404 Not Found"
    assert lines[1].startswith("http://127.0.0.1:9/a.pth: ")
    assert lines[2] == f"download it on another machine and put it here: {tmp_path / 'a.pth'} (SHA-256 0676ba61…)"


def test_a_server_that_always_hangs_up_is_given_up_and_what_came_is_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="download it on another machine"):
        fetch([f"{server}/always_cut.pth"], tmp_path / "a.pth")
    assert 1 < len(Shelf.seen) <= 4
    assert len(CONTENT) / 2 < (tmp_path / "a.pth.part").stat().st_size < len(CONTENT)


def test_a_folder_that_cannot_be_made_is_named(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"cannot be written \(.*\)"):
        fetch([f"{server}/a.pth"], tmp_path / "file" / "a.pth")
