"""NVIDIA's driver as it answers: NVML, then libcuda, then nvidia-smi. The bus and the kernel are `pci.py`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.facts import Capability, Driver, DriverLibraries, Gpu, Gpus, Unknown, Version
from doctor.versions import find_version

if TYPE_CHECKING:
    from doctor.shell import Host

CHILDREN = Path(__file__).parent / "children"
QUERY = ("nvidia-smi", "--query-gpu=name,compute_cap,memory.total,driver_version", "--format=csv,noheader,nounits")
MIB = 1 << 20
# nvml.h and cuda.h: the codes that have a cause of their own
NVML_WORDS = {
    4: "no permission",
    9: "the kernel module is not loaded",
    12: "a part of the driver's library is missing",
    15: "the GPU is lost",
    16: "the GPU needs a reset",
    17: "blocked by the operating system",
    18: "library and kernel module have different versions",
    999: "unknown error",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One source's answer; `code` is None where the source is not there."""

    source: str
    code: int | None = None
    version: Version | None = None
    cuda: tuple[int, int] | None = None
    gpus: tuple[Gpu, ...] = ()
    library: Version | None = None


def cuda_of(number: int) -> tuple[int, int] | None:
    """Return (12, 8) for 12080, the way the driver API writes versions; None for nonsense."""
    return (number // 1000, number % 1000 // 10) if 1000 <= number < 1000000 else None


def parse_child(text: str, source: str) -> Answer:
    """Read the JSON of `children/nvml.py` or `children/libcuda.py`; anything else is an answer without a code."""
    try:
        row: Any = json.loads(text)
        library = re.search(r"\.so\.([0-9]+\.[0-9.]+)", str(row.get("library") or ""))
        return Answer(
            source,
            code=None if row["code"] is None else int(row["code"]),
            version=find_version(str(row.get("driver") or "")),
            cuda=cuda_of(int(row.get("cuda") or 0)),
            gpus=tuple(_gpu(gpu) for gpu in row.get("gpus") or ()),
            library=find_version(library[1]) if library else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return Answer(source)


def parse_smi_banner(text: str) -> tuple[Version | None, tuple[int, int] | None]:
    """Return driver and CUDA version of nvidia-smi's banner, of both generations.

    Up to release 595: `Driver Version: 535.183.01   CUDA Version: 12.2`.
    From release 610: `KMD Version: 610.43.02   CUDA UMD Version: 13.3`.
    """
    driver = re.search(r"(?:Driver|KMD) Version\s*:\s*([0-9]{3,4}(?:\.[0-9]{1,4}){1,2})\b", text, re.ASCII)
    cuda = re.search(r"CUDA(?: UMD)? Version\s*:\s*([0-9]{1,3})\.([0-9]{1,3})\b", text, re.ASCII)
    return find_version(driver[1]) if driver else None, (int(cuda[1]), int(cuda[2])) if cuda else None


def parse_smi_query(text: str) -> tuple[tuple[Gpu, ...], Version | None]:
    """Read the CSV of `nvidia-smi --query-gpu=name,compute_cap,memory.total,driver_version`, no other line."""
    gpus: list[Gpu] = []
    version: Version | None = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.rsplit(",", 3)]
        capability = re.fullmatch(r"([0-9]{1,2})\.([0-9])", cells[1], re.ASCII) if len(cells) == 4 else None
        if capability:
            memory = int(cells[2]) * MIB if re.fullmatch(r"[0-9]{1,9}", cells[2], re.ASCII) else None
            gpus.append(Gpu(cells[0], (int(capability[1]), int(capability[2])), memory))
            version = find_version(cells[3]) or version
    return tuple(gpus), version


def probe_driver(host: Host) -> tuple[DriverLibraries | Unknown, Driver | Unknown, Gpus | Unknown]:
    """Ask NVML and libcuda; nvidia-smi only where neither brought a version and the GPUs."""
    nvml, problem = _ask_child(host, "nvml.py", "NVML")
    cuda, cuda_problem = _ask_child(host, "libcuda.py", "libcuda")
    answers = [nvml, cuda]
    if not (nvml.version and nvml.gpus) and host.which("nvidia-smi"):
        answers.append(_ask_smi(host))
    broken = problem or cuda_problem
    nothing = Unknown(broken or _why(nvml, cuda), looked=not broken)
    known = DriverLibraries(nvml_code=nvml.code, cuda_code=cuda.code, version=nvml.library or cuda.library)
    libraries = nothing if broken else known  # a child that hung has not shown that its library is missing
    return libraries, _driver(host, answers, nothing), _gpus(answers, nothing)


def _driver(host: Host, answers: list[Answer], nothing: Unknown) -> Driver | Unknown:
    answered = [answer for answer in answers if answer.version or answer.code == 0]
    if not answered:
        return nothing
    loaded = find_version((host.read("/sys/module/nvidia/version") or "").strip())
    named = [answer.version for answer in answered] + [loaded] + [answer.library for answer in answered]
    version = next((version for version in named if version), None)
    cuda = next((answer.cuda for answer in answers if answer.cuda), None)
    if version is None:
        return Unknown(f"{answered[0].source} answers but names no driver version", looked=False)
    return Driver(version=version, cuda=cuda, source=answered[0].source)


def _gpus(answers: list[Answer], nothing: Unknown) -> Gpus | Unknown:
    for answer in answers:
        if answer.gpus:
            return Gpus(answer.gpus)
    return nothing


def _why(nvml: Answer, cuda: Answer) -> str:
    """Say in words why no GPU came."""
    if nvml.code is None and cuda.code is None:
        return "no NVIDIA driver library (libnvidia-ml.so.1, libcuda.so.1) can be loaded"
    if nvml.code:
        return f"NVML says {nvml.code}: {NVML_WORDS.get(nvml.code, 'see nvml.h')}"
    return f"CUDA says {cuda.code}" if cuda.code else "the driver answers but shows no GPU"


def _ask_child(host: Host, script: str, source: str) -> tuple[Answer, str]:
    """Return the child's answer, and what went wrong with the child itself (a hang or a crash), if anything did."""
    output = host.run_python(host.own_python(), CHILDREN / script)
    if output.problem:
        return Answer(source), f"{source}: {output.problem}"
    crashed = output.code != 0 and f"{source} crashed the process that asked it (exit {output.code})"
    return parse_child(output.out, source), crashed or ""


def _ask_smi(host: Host) -> Answer:
    gpus, version = parse_smi_query(host.run(*QUERY).out)
    banner_version, cuda = parse_smi_banner(host.run("nvidia-smi").out)
    return Answer("nvidia-smi", version=version or banner_version, cuda=cuda, gpus=gpus)


def _gpu(row: dict[str, Any]) -> Gpu:
    capability: Capability = (int(row["capability"][0]), int(row["capability"][1]))
    return Gpu(str(row["name"]), capability, int(row["memory"]) or None)
