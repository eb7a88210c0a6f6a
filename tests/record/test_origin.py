"""Where a run comes from and what it read: commit and changes, lock, container, a spread sample of images."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from repro.record.files import data_files, spread
from repro.record.origin import container_of, source_of, stack_of

ROOT = Path(__file__).resolve().parents[2]


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a small checkout with one commit."""
    (tmp_path / "repro").mkdir()
    (tmp_path / "repro" / "code.py").write_text("one = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    source, diff = source_of(checkout)
    assert (source.dirty, source.diff_sha256, diff) == (False, None, b"")
    assert source.commit is not None
    assert len(source.commit) == 40
    assert list(source.code) == ["repro/code.py"]


def test_changes_are_kept_as_a_patch_and_strangers_by_name(checkout: Path) -> None:
    clean, _ = source_of(checkout)
    (checkout / "repro" / "code.py").write_text("one = 2\n")
    (checkout / "notes.txt").write_text("")
    source, diff = source_of(checkout)
    assert (source.dirty, source.untracked) == (True, ("notes.txt",))
    assert b"+one = 2" in diff
    assert source.diff_sha256 == hashlib.sha256(diff).hexdigest()
    assert source.code != clean.code


def test_without_git_the_code_is_named_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repro").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    source, diff = source_of(tmp_path)
    assert (source.commit, source.dirty, diff) == (None, False, b"")


def test_a_pinned_stack_has_the_hash_of_its_lock_and_an_unknown_one_none() -> None:
    stack = stack_of("cu130")
    lock = (ROOT / "env" / "cu130" / "requirements.lock").read_bytes()
    assert stack.lock_sha256 == hashlib.sha256(lock).hexdigest()
    assert stack.packages["torch"]
    assert stack_of("none: torch is not installed").lock_sha256 is None
    assert stack_of("../env/cu130").lock_sha256 is None


def test_a_container_is_what_its_starter_said() -> None:
    assert container_of({}) is None
    told = container_of({"BEVREADY_IMAGE_DIGEST": "sha256:12", "BEVREADY_STACK": "cu128"})
    assert told is not None
    assert (told.image_digest, told.stack) == ("sha256:12", "cu128")


def test_sampled_images_are_spread_from_the_first_to_the_last() -> None:
    images = [Path(f"{number}.jpg") for number in range(100)]
    sample = spread(images, 5)
    assert sample == [Path(f"{number}.jpg") for number in (0, 25, 50, 74, 99)]
    assert spread(images[:3], 5) == images[:3]


def test_what_was_read_is_named_relative_to_the_data_root(tmp_path: Path) -> None:
    (tmp_path / "v1.0-mini").mkdir()
    (tmp_path / "v1.0-mini" / "log.json").write_text("[]")
    told = data_files(tmp_path, tables=[tmp_path / "v1.0-mini" / "log.json"], images=[])
    assert (told.tables[0].path, told.tables[0].size, told.images_in_all) == ("v1.0-mini/log.json", 2, 0)
