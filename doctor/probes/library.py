"""Which driver libraries the loader could find, which variables choose GPUs, and what WSL brings. Files only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from doctor.facts import CudaVariables, LibraryFile, LibraryFiles, Unknown, Version, Wsl
from doctor.versions import find_version, parse_version

if TYPE_CHECKING:
    from doctor.shell import Host

FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",  # Debian
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
)
JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")
WSL_FOLDER = "/usr/lib/wsl/lib"


def parse_library_name(name: str) -> Version | None:
    """Return (580, 95, 5) for `libcuda.so.580.95.05`, None for links such as libcuda.so.1 and for other files."""
    found = re.fullmatch(r"lib(?:cuda|nvidia-ml)\.so\.([0-9]{3,4}(?:\.[0-9]{1,4}){1,2})", name, re.ASCII)
    return find_version(found[1]) if found else None


def parse_wsl_kernel(text: str) -> tuple[Literal[1, 2], Version] | None:
    """Return the generation and kernel of WSL: `4.4.0-19041-Microsoft` is WSL 1. None where this is no WSL."""
    version = re.match(r"[0-9]{1,3}(?:\.[0-9]{1,5}){1,3}", text.strip(), re.ASCII)
    if "microsoft" not in text.lower() or version is None:
        return None
    first = re.search(r"-Microsoft\b", text) is not None and "WSL2" not in text
    return 1 if first else 2, parse_version(version[0])


def probe_library_files(host: Host) -> LibraryFiles | Unknown:
    """List the usual folders and those of LD_LIBRARY_PATH: the loader takes the latter first."""
    own = tuple(dict.fromkeys(part.rstrip("/") for part in host.variable("LD_LIBRARY_PATH").split(":") if part))
    names = {folder: host.listing(folder) for folder in (*own, *FOLDERS)}
    found = [
        LibraryFile(f"{folder}/{name}", version)
        for folder in FOLDERS
        for name in names[folder]
        if (version := parse_library_name(name))
    ]
    with_libcuda = [folder for folder in own if any(name.startswith("libcuda.so") for name in names[folder])]
    stubs = tuple(folder for folder in with_libcuda if "/stubs" in folder)
    compat = tuple(folder for folder in with_libcuda if re.search(r"[/-]compat(?:[/-]|$)", folder))
    if not (found or stubs or compat):
        return Unknown("no driver library stands in the usual folders")
    return LibraryFiles(found=tuple(found), stub_folders=stubs, compat_folders=compat)


def probe_cuda_variables(host: Host) -> CudaVariables:
    """Read CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER; a variable that is empty is not one that is not set."""
    name = "CUDA_VISIBLE_DEVICES"
    visible = host.variable(name) if host.is_set(name) else None
    in_job = any(host.variable(job) for job in JOB_VARIABLES)
    return CudaVariables(visible=visible, order=host.variable("CUDA_DEVICE_ORDER"), in_job=in_job)


def probe_wsl(host: Host) -> Wsl | Unknown:
    """Look for the Windows driver's libraries, and for a Linux driver that was installed beside them."""
    known = parse_wsl_kernel(host.read("/proc/sys/kernel/osrelease") or "")
    if known is None:
        return Unknown("this is not WSL")
    intruders = (f"{folder}/{name}" for folder in FOLDERS for name in host.listing(folder) if parse_library_name(name))
    has_library = "libcuda.so.1" in host.listing(WSL_FOLDER)
    return Wsl(generation=known[0], kernel=known[1], has_library=has_library, intruders=tuple(intruders))
