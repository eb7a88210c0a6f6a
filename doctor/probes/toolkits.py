"""Every CUDA toolkit on the machine, and the one that a build would take. Files answer; nvcc only where they do not."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from doctor.facts import CudaHome, Toolkit, ToolkitFolder, ToolkitKind, Toolkits, Unknown, Version
from doctor.versions import find_version
from doctor.words import say

if TYPE_CHECKING:
    from doctor.shell import Host

USR_LOCAL = "/usr/local"
DISTRIBUTION = "/usr"  # Debian's and Ubuntu's own package spreads over /usr
HEADERS = ("cuda_runtime.h", "cublas_v2.h", "cusparse.h", "cusolverDn.h", "thrust/version.h", "cub/version.cuh")
LIBRARY = "libcudart.so"
PYTHON_MINORS = range(9, 16)
TARGETS = {"x86_64": ("x86_64-linux", "x86_64-linux-gnu"), "aarch64": ("sbsa-linux", "aarch64-linux-gnu")}


def parse_nvcc(text: str) -> Version | None:
    """Return (13, 0, 88) from `nvcc --version`: the number after V, or the one after `release`."""
    found = re.search(r"\bV([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,4})\b", text, re.ASCII)
    found = found or re.search(r"release ([0-9]{1,3}\.[0-9]{1,3})\b", text, re.ASCII)
    return find_version(found[1]) if found else None


def parse_version_json(text: str) -> Version | None:
    """Return nvcc's version in a toolkit's version.json (from CUDA 11.1 on), else that of the whole toolkit."""
    try:
        rows: Any = json.loads(text)
        named = [str(rows[part]["version"]) for part in ("cuda_nvcc", "cuda") if part in rows]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return next((version for name in named if (version := _release(name))), None)


def parse_version_txt(text: str) -> Version | None:
    """Return (10, 2, 89) of `CUDA Version 10.2.89`, the version.txt of toolkits before 11.1."""
    found = re.match(r"CUDA Version ([0-9]{1,2}\.[0-9]{1,2}(?:\.[0-9]{1,4})?)\b", text, re.ASCII)
    return find_version(found[1]) if found else None


def parse_names(names: tuple[str, ...]) -> Version | None:
    """Return nvcc's version from the names of conda's records or of pip's dist-info folders."""
    for name in names:
        found = re.fullmatch(
            r"(?:nvidia_)?cuda[-_]nvcc-([0-9]{2}\.[0-9]{1,2}\.[0-9]{1,4})(?:-.*\.json|\.dist-info)", name
        )
        if found:
            return find_version(found[1])
    return None


def probe_toolkit(host: Host) -> Toolkit | Unknown:
    """Take nvcc where PyTorch's extension builder does: CUDA_HOME or CUDA_PATH, PATH, /usr/local/cuda."""
    nvcc, found_by = _taken(host)
    if not host.access(nvcc).exists:
        home = found_by == "CUDA_HOME"
        missing = say("{path} does not exist", path=nvcc)
        return Unknown(missing if home else "no nvcc in CUDA_HOME, on PATH or in /usr/local/cuda")
    root = _root(nvcc)
    version = _version_in_files(host, root) if root != DISTRIBUTION else None
    if version is None:
        output = host.run(nvcc, "--version")
        version = parse_nvcc(output.out)
        if version is None:
            problem = output.problem or "names no version"
            return Unknown(say("{program} --version: {problem}", program=nvcc, problem=problem), looked=False)
    here = host.real_path(root)
    others = tuple(
        folder
        for folder in _numbered(host)
        if host.real_path(folder) != here and host.access(f"{folder}/bin/nvcc").exists
    )
    return Toolkit(version, nvcc, found_by, others, _lacks(host, root))


def probe_toolkits(host: Host, python: str) -> Toolkits | Unknown:
    """List every folder with an nvcc: variables, PATH, /usr/local, /opt, conda, the distribution, pip's wheels."""
    nvcc, _ = _taken(host)
    on_path = host.which("nvcc")
    roots = [
        *(host.variable(name) for name in ("CUDA_HOME", "CUDA_PATH")),
        *([_root(on_path)] if on_path else []),
        f"{USR_LOCAL}/cuda",
        *_numbered(host),
        "/opt/cuda",
        host.variable("CONDA_PREFIX"),
        DISTRIBUTION,
        *_wheel_roots(host, python),
    ]
    real = dict.fromkeys(_real(host, root) for root in roots if root and host.access(f"{root}/bin/nvcc").exists)
    if not real:
        return Unknown("no CUDA toolkit on this machine")
    return Toolkits(
        found=tuple(_folder(host, root) for root in real),
        taken=_real(host, _root(nvcc)) if host.access(nvcc).exists else "",
        on_path=_real(host, _root(on_path)) if on_path else "",
    )


def probe_cuda_home(host: Host) -> CudaHome | Unknown:
    """Look at what CUDA_HOME promises."""
    path = host.variable("CUDA_HOME") or host.variable("CUDA_PATH")
    return CudaHome(path, host.access(f"{path}/bin/nvcc").exists) if path else Unknown("CUDA_HOME is not set")


def _taken(host: Host) -> tuple[str, str]:
    """Return the nvcc that a build would start, there or not, and what led to it."""
    home = host.variable("CUDA_HOME") or host.variable("CUDA_PATH")
    if home:
        return f"{home}/bin/nvcc", "CUDA_HOME"
    on_path = host.which("nvcc")
    return (on_path, "PATH") if on_path else (f"{USR_LOCAL}/cuda/bin/nvcc", f"{USR_LOCAL}/cuda")


def _numbered(host: Host) -> list[str]:
    return [f"{USR_LOCAL}/{name}" for name in host.listing(USR_LOCAL) if re.fullmatch(r"cuda-[0-9.]+", name)]


def _wheel_roots(host: Host, python: str) -> list[str]:
    """Return the folders that CUDA 13's wheels share in this interpreter's site-packages: nvidia/cu13."""
    lib = f"{_root(python)}/lib"
    packages = [f"{lib}/python3.{minor}/site-packages/nvidia" for minor in PYTHON_MINORS]
    return [f"{place}/{name}" for place in packages for name in host.listing(place) if re.fullmatch(r"cu[0-9]+", name)]


def _folder(host: Host, root: str) -> ToolkitFolder:
    kind: ToolkitKind = "folder"
    if root == DISTRIBUTION:
        return ToolkitFolder(root=root, kind="distribution")
    if "/site-packages/nvidia/" in root:
        kind, names = "wheels", host.listing(str(PurePosixPath(root).parents[1]))
        return ToolkitFolder(root=root, kind=kind, version=parse_names(names))
    records = host.listing(f"{root}/conda-meta")
    if records:
        return ToolkitFolder(root=root, kind="conda", version=parse_names(records))
    return ToolkitFolder(root=root, kind=kind, version=_version_in_files(host, root) or _version_in_name(root))


def _version_in_files(host: Host, root: str) -> Version | None:
    known = parse_version_json(host.read(f"{root}/version.json") or "")
    return known or parse_version_txt(host.read(f"{root}/version.txt") or "")


def _version_in_name(root: str) -> Version | None:
    found = re.search(r"/cuda-([0-9]{1,2}\.[0-9]{1,2})$", root)
    return find_version(found[1]) if found else None


def _lacks(host: Host, root: str) -> tuple[str, ...]:
    """Return what an extension needs and this toolkit does not have; nothing where its folder cannot be listed."""
    if not host.listing(root):
        return ()
    target, triple = TARGETS.get(host.machine(), TARGETS["x86_64"])
    include = [f"{place}/include{more}" for place in (root, f"{root}/targets/{target}") for more in ("", "/cccl")]
    lib = [f"{root}/lib64", f"{root}/lib", f"{root}/targets/{target}/lib", f"{root}/lib/{triple}"]
    wanted = [(name, include) for name in HEADERS] + [(LIBRARY, lib)]
    return tuple(name for name, places in wanted if not any(host.access(f"{place}/{name}").exists for place in places))


def _real(host: Host, path: str) -> str:
    return host.real_path(path) or path


def _root(program: str) -> str:
    """Return the folder above the bin/ that a program is in."""
    return str(PurePosixPath(program).parent.parent)


def _release(text: str) -> Version | None:
    version = find_version(text) if re.match(r"[0-9]{1,2}\.[0-9]{1,2}(?:\.|$)", text, re.ASCII) else None
    return version[:3] if version else None
