"""What is sent to the engine: the sources, nothing private, the same bytes for the same files."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from repro.containers.context import CERTIFICATE, ContextError, files_of, pack, sources_digest

ROOT = Path(__file__).resolve().parents[2]
PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with two sources, and what must stay at home."""
    files = (
        "bevready",
        "repro/a.py",
        "repro/__pycache__/a.pyc",
        "repro/.secret",
        "data/big.bin",
        "env/cu130/stack.json",
    )
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}", encoding="utf-8")
    (tmp_path / "bevready").chmod(0o755)
    return tmp_path


def names_in(root: Path, *certificates: Path) -> dict[str, tarfile.TarInfo]:
    with pack(certificates, root) as packed, tarfile.open(fileobj=packed) as archive:
        return {entry.name: entry for entry in archive.getmembers()}


def test_only_sources_travel(checkout: Path) -> None:
    assert sorted(names_in(checkout)) == ["bevready", "env/cu130/stack.json", "repro/a.py"]


def test_programs_stay_programs_and_owners_stay_at_home(checkout: Path) -> None:
    entries = names_in(checkout)
    assert [entries[name].mode for name in ("bevready", "repro/a.py")] == [0o755, 0o644]
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries.values()} == {(0, 0, 0)}


def test_the_same_files_give_the_same_bytes(checkout: Path) -> None:
    with pack((), checkout) as first, pack((), checkout) as second:
        assert first.read() == second.read()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("repro/a.py", True),
        ("data/big.bin", False),
        ("docker/images.lock", False),
        ("docker/certificates/x.crt", False),
    ],
)
def test_the_digest_changes_with_what_an_image_holds_and_with_nothing_else(
    checkout: Path, name: str, *, changes: bool
) -> None:
    before = sources_digest(checkout)
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("other", encoding="utf-8")
    assert (sources_digest(checkout) != before) is changes


def test_moving_bytes_between_files_changes_the_digest(checkout: Path) -> None:
    (checkout / "repro" / "a.py").write_text("xy", encoding="utf-8")
    (checkout / "repro" / "b.py").write_text("z", encoding="utf-8")
    before = sources_digest(checkout)
    (checkout / "repro" / "a.py").write_text("x", encoding="utf-8")
    (checkout / "repro" / "b.py").write_text("yz", encoding="utf-8")
    assert sources_digest(checkout) != before


def test_certificates_are_joined_into_one_file_of_whole_lines(checkout: Path) -> None:
    for name in ("one.crt", "two.crt"):
        (checkout / name).write_bytes(PEM.rstrip())
    with (
        pack((checkout / "one.crt", checkout / "two.crt"), checkout) as packed,
        tarfile.open(fileobj=packed) as archive,
    ):
        member = archive.extractfile(CERTIFICATE)
        assert member is not None
        assert member.read() == PEM * 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (PEM + b"-----BEGIN PRIVATE KEY-----\n", "holds a private key"),
        (b"\x00\x01", "no certificate in it"),
        (None, "No such file"),
    ],
)
def test_what_is_no_certificate_does_not_travel(checkout: Path, content: bytes | None, words: str) -> None:
    path = checkout / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContextError, match=words):
        pack((path,), checkout)


def test_every_folder_that_a_dockerfile_copies_is_sent() -> None:
    sent = {path.relative_to(ROOT).parts[0] for path in files_of(ROOT)}
    for file in (ROOT / "docker").glob("*.Dockerfile"):
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("COPY")]
        copied = {word.strip("/").split("/")[0] for _, *words, _ in lines for word in words if "--from" not in words[0]}
        assert copied <= sent, file


def test_the_ignore_file_lets_the_same_folders_through() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert allowed == {path.relative_to(ROOT).parts[0] for path in files_of(ROOT)}
