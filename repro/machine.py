"""What the run runs on, as recorded in its folder. Diagnosis is the doctor's business; this only writes down."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch

from repro.artifacts import Machine

ROOT = Path(__file__).resolve().parents[1]
VERSION = "0.1.0"


def machine_facts(*, device: str, precision: str, op: str, stack: str, findings: tuple[str, ...]) -> Machine:
    """Return what this process can say of its machine; `device` is a torch device such as "cpu" or "cuda:0"."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor()
    return Machine(
        bevready=VERSION,
        source=source_commit(),
        python=platform.python_version(),
        torch=str(torch.__version__),
        device=device,
        device_name=name,
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        threads=torch.get_num_threads(),
        precision=precision,
        tf32=bool(torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32)
        and device.startswith("cuda"),
        op=op,
        stack=stack,
        findings=findings,
    )


def source_commit(root: Path = ROOT) -> str:
    """Return the commit of the checkout, with "+changes" when files differ from it; words when there is no git."""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return commit + ("+changes" if _git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return "not a git checkout"


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 — fixed words
        ["git", "-C", str(root), *words],  # noqa: S607 — whichever git the user has
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout.strip()


def _processor() -> str:
    """Return the processor's name as Linux tells it, else its architecture."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    return processor_name(text) or platform.machine()


def processor_name(cpuinfo: str) -> str | None:
    """Return the first "model name" of the text of /proc/cpuinfo (x86; Arm kernels give none)."""
    names = (line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name"))
    return next(names, None)
