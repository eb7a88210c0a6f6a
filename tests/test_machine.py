"""What a run records of its machine."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from repro.machine import machine_facts, processor_name, source_commit

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_the_source_is_the_commit_and_says_when_files_differ_from_it(tmp_path: Path) -> None:
    assert source_commit(tmp_path) == "not a git checkout"
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    clean = source_commit(tmp_path)
    assert len(clean) == 12
    (tmp_path / "a").write_text("2")
    assert source_commit(tmp_path) == f"{clean}+changes"


def test_the_processor_is_named_as_linux_names_it() -> None:
    assert processor_name("processor\t: 0\nmodel name\t: Fast Chip 9000\n\nprocessor\t: 1\n") == "Fast Chip 9000"
    assert processor_name("processor\t: 0\nBogoMIPS\t: 50.00\n") is None


def test_a_cpu_run_never_claims_tf32() -> None:
    facts = machine_facts(device="cpu", precision="32-true", op="reference", stack="cu130", findings=())
    assert facts.tf32 is False
    assert facts.cores >= 1
