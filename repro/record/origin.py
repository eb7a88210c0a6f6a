"""Where a run comes from: commit and changes, the pinned stack, the container, the extension, what decides bits."""

from __future__ import annotations

import hashlib
import os
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from repro.atomic import sha256_of, source_digest
from repro.ops import IMPLEMENTATION
from repro.ops.built import find
from repro.record.schema import Container, Extension, Numerics, Source, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
IMAGE, IMAGE_STACK = "BEVREADY_IMAGE_DIGEST", "BEVREADY_STACK"  # set by whoever starts the container
NAMED = 200  # untracked files that a record names


def source_of(root: Path = ROOT) -> tuple[Source, bytes]:
    """Return the code under `root` as a record holds it, and the text of its changes (empty without git)."""
    rooms = sorted(p for p in (root / "repro").iterdir() if p.is_dir() or p.suffix == ".py")
    code = {f"repro/{room.name}": source_digest(room) for room in rooms if room.name != "__pycache__"}
    try:
        commit = _git(root, "rev-parse", "HEAD").decode().strip()
        diff = _git(root, "diff", "--no-ext-diff", "--no-color", "--binary", "HEAD")
        strangers = _git(root, "ls-files", "--others", "--exclude-standard").decode(errors="replace").splitlines()
    except (OSError, subprocess.SubprocessError):
        return Source(commit=None, dirty=False, diff_sha256=None, untracked=(), code=code), b""
    digest = hashlib.sha256(diff).hexdigest() if diff else None
    named = tuple(strangers[:NAMED])
    return Source(commit=commit, dirty=bool(diff or named), diff_sha256=digest, untracked=named, code=code), diff


def stack_of(name: str, env: Path = ROOT / "env") -> Stack:
    """Return the pinned stack called `name` with the packages of this interpreter; no lock for an unknown name."""
    lock = env / name / "requirements.lock"
    packages = {str(found.metadata["Name"]): found.version for found in distributions() if found.metadata["Name"]}
    known = name in {folder.name for folder in env.glob("*")} and lock.is_file()
    return Stack(name=name, lock_sha256=sha256_of(lock) if known else None, packages=dict(sorted(packages.items())))


def container_of(variables: Mapping[str, str] = os.environ) -> Container | None:
    """Return the image that this process was told it runs in, None outside of one."""
    digest = variables.get(IMAGE, "")
    return Container(image_digest=digest, stack=variables.get(IMAGE_STACK) or None) if digest else None


def extension() -> Extension:
    """Return which deformable attention this process computes with."""
    found = find()
    return Extension(op=IMPLEMENTATION, why=found.why, manifest=found.manifest if found.path else {})


def numerics(*, seed: int, precision: str) -> Numerics:
    """Return what decides the bits of this process's results."""
    return Numerics(
        seed=seed,
        deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
        cudnn_deterministic=torch.backends.cudnn.deterministic,
        cudnn_benchmark=torch.backends.cudnn.benchmark,
        precision=precision,
        tf32_matmul=torch.backends.cuda.matmul.allow_tf32,
        tf32_cudnn=torch.backends.cudnn.allow_tf32,
        threads=torch.get_num_threads(),
    )


def _git(root: Path, *words: str) -> bytes:
    done = subprocess.run(  # noqa: S603 — fixed words
        ["git", "-C", str(root), *words],  # noqa: S607 — whichever git the user has
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout
