"""One file over HTTP: resumed where it stopped, from the first mirror that has it, checked, and whole or not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from repro.atomic import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TIMEOUT_S = (15, 60)  # to connect, and between two chunks
TRIES = 4  # a mirror, as long as each try brings something
CHUNK = 1 << 16  # what a cut costs at most
PARTIAL, WHOLE, OUT_OF_RANGE = 206, 200, 416


class FetchError(OSError):
    """A file that cannot be had; the message says what each address answered and where to put the file by hand."""


def fetch(
    urls: Sequence[str],
    path: Path,
    *,
    sha256: str = "",
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> str:
    """Bring the file at the first of `urls` that works to `path`; return its SHA-256 in hex.

    An interrupted transfer leaves PATH.part beside it and goes on from there (HTTP Range, guarded by the server's
    ETag). `sha256` is the whole digest or its first digits, "" for none: a file of another digest is thrown away.
    `tell(done, total)` hears bytes; total is 0 where the server does not say. Raises FetchError.
    """
    answers = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for url in urls:
            try:
                return _from(url, path, sha256, tell)
            except (requests.RequestException, _RefusedError) as error:  # noqa: PERF203 — one mirror each
                answers.append(f"{url}: {error}")
    except OSError as error:
        raise FetchError(f"{path}: cannot be written ({error.strerror or error}); free some space") from error
    digest = f" (SHA-256 {sha256}…)" if sha256 else ""
    raise FetchError("\n".join([*answers, f"download it on another machine and put it here: {path}{digest}"]))


class _RefusedError(Exception):
    """A server that answers with something else than the file."""


def _from(url: str, path: Path, sha256: str, tell: Callable[[int, int], None]) -> str:
    part, tag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.etag")
    for left in reversed(range(TRIES)):
        before = part.stat().st_size if part.exists() else 0
        try:
            _transfer(url, part, tag, tell)
            break
        except requests.RequestException:
            if not left or not part.exists() or part.stat().st_size <= before:
                raise
    digest = sha256_of(part)
    if not digest.startswith(sha256.lower()):
        part.unlink()
        tag.unlink(missing_ok=True)
        raise _RefusedError(f"the file has the SHA-256 {digest[:16]}…, expected {sha256[:16]}…; thrown away")
    part.replace(path)
    tag.unlink(missing_ok=True)
    return digest


def _transfer(url: str, part: Path, tag: Path, tell: Callable[[int, int], None]) -> None:
    """Append what is missing of `url` to `part`; start over where the server cannot or must not go on."""
    have = part.stat().st_size if part.exists() else 0
    known = tag.read_text(encoding="utf-8") if tag.exists() else ""
    headers = {"Accept-Encoding": "identity"}
    if have and known == "":
        have = 0  # nothing says that it is the same file
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if answer.status_code == OUT_OF_RANGE and have:
            part.unlink()
            raise requests.ConnectionError("the partial file is no part of what is there now")
        if answer.status_code not in {WHOLE, PARTIAL}:
            raise _RefusedError(f"{answer.status_code} {answer.reason}")
        if answer.status_code == WHOLE:
            have = 0
        total = have + int(answer.headers.get("Content-Length", 0))
        tag.write_text(_validator(answer), encoding="utf-8")
        with part.open("ab" if have else "wb") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                have += len(chunk)
                tell(have, total)
    if "Content-Length" in answer.headers and have != total:
        raise requests.ConnectionError(f"the connection ended after {have} of {total} bytes")


def _validator(answer: requests.Response) -> str:
    """Return what If-Range may quote: a strong ETag, else the date of the last change, else nothing."""
    tag = str(answer.headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(answer.headers.get("Last-Modified", ""))
