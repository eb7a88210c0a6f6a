"""Orders for the tests of builds: small sources, their proofs, and programs that build in a process of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import torch

from doctor.build.cache import Place, pointed_at, pointer_name
from doctor.build.make import Order

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(__file__).resolve().parent / "fixtures"
PROOF = FIXTURES / "prove_tiny.py"
TORCH = Path(torch.__file__).parent

# What `invoke build-ext` runs, with another proof: words are the proof and then those of the menu.
PROGRAM = """
import functools, pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background inherit none
from doctor.build import menu
menu.Order = functools.partial(menu.Order, proof=pathlib.Path(sys.argv[1]))
sys.exit(menu.main(sys.argv[2:]))
"""


def needs_compiler() -> str:
    """Return why nothing can be compiled here, nothing where it can."""
    return "" if shutil.which("g++") else "g++ is not on PATH"


def tiny(folder: Path, text: str = "") -> Path:
    """Copy the tiny sources into a folder of the test's, with other text if given."""
    sources = folder / "csrc"
    if not sources.exists():
        shutil.copytree(FIXTURES / "tiny", sources)
    if text:
        (sources / "tiny.cpp").write_text(text, encoding="utf-8")
    return sources


def order(sources: Path, proof: Path = PROOF, *, force: bool = True, arch: str = "") -> Order:
    """Return an order that does not ask the doctor: what he says of this machine is not what is tested."""
    return Order(python=sys.executable, arch=arch, force=force, folder=sources, proof=proof)


def start(sources: Path, *words: str, proof: Path = PROOF) -> subprocess.Popen[str]:
    """Start a build in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(proof), "--sources", str(sources), "--python", sys.executable, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def key_in_use(place: Place, sources: Path) -> str:
    """Return the key of the build that is the current one, nothing where there is none."""
    told = pointed_at(place, pointer_name(TORCH, sources))
    return str(told["key"]) if told else ""
