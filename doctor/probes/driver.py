"""NVIDIA's driver as it answers: NVML, then libcuda, then nvidia-smi. The bus and the kernel are `pci.py`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.facts import (
    Capability,
    ComputeMode,
    Disagreement,
    Disagreements,
    Driver,
    DriverLibraries,
    Gpu,
    Gpus,
    Unknown,
    Version,
    dotted,
    dotted_driver,
)
from doctor.probes.smi import QUERY, XML, parse_smi_banner, parse_smi_query, parse_smi_xml
from doctor.versions import find_version
from doctor.words import say

if TYPE_CHECKING:
    from doctor.shell import Host

CHILDREN = Path(__file__).parent / "children"
KERNEL = "kernel module"
TRUST = ("NVML", "libcuda", KERNEL, "nvidia-smi")
PROC_GPUS = "/proc/driver/nvidia/gpus"
COMPUTE_MODES: tuple[ComputeMode, ...] = ("default", "exclusive", "prohibited", "exclusive")  # nvmlComputeMode_t
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
    path: str = ""
    lost: tuple[int, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the GPUs."""
        return self.models or tuple(gpu.name for gpu in self.gpus)


def cuda_of(number: int) -> tuple[int, int] | None:
    """Return (12, 8) for 12080, the way the driver API writes versions; None for nonsense."""
    return (number // 1000, number % 1000 // 10) if 1000 <= number < 1000000 else None


def parse_child(text: str, source: str) -> Answer:
    """Read the JSON of `children/nvml.py` or `children/libcuda.py`; anything else is an answer without a code."""
    try:
        row: Any = json.loads(text)
        path = str(row.get("library") or "")
        library = re.search(r"\.so\.([0-9]+\.[0-9.]+)", path)
        rows = row.get("gpus") or ()
        return Answer(
            source,
            code=None if row["code"] is None else int(row["code"]),
            version=find_version(str(row.get("driver") or "")),
            cuda=cuda_of(int(row.get("cuda") or 0)),
            gpus=tuple(_gpu(gpu) for gpu in rows if "name" in gpu),
            library=find_version(library[1]) if library else None,
            path=path,
            lost=tuple(int(gpu["code"]) for gpu in rows if "name" not in gpu),
        )
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError):
        return Answer(source)


def parse_proc_gpu(text: str) -> str:
    """Return the model in /proc/driver/nvidia/gpus/*/information, empty where it names none."""
    found = re.search(r"^Model:[ \t]*(\S[^\n]{0,95})", text, re.MULTILINE)
    return found[1].strip() if found else ""


def probe_driver(
    host: Host,
) -> tuple[DriverLibraries | Unknown, Driver | Unknown, Gpus | Unknown, Disagreements | Unknown]:
    """Ask NVML and libcuda; nvidia-smi only where neither brought a version and the GPUs."""
    nvml, problem = _ask_child(host, "nvml.py", "NVML")
    cuda, cuda_problem = _ask_child(host, "libcuda.py", "libcuda")
    answers = [nvml, cuda]
    if not (nvml.version and nvml.gpus) and host.which("nvidia-smi"):
        answers.append(_ask_smi(host))
    broken = problem or cuda_problem
    nothing = Unknown(broken or _why(nvml, cuda), looked=not broken)
    known = DriverLibraries(
        nvml_code=nvml.code, cuda_code=cuda.code, version=nvml.library or cuda.library, cuda_path=cuda.path
    )
    libraries = nothing if broken else known  # a child that hung has not shown that its library is missing
    answers.append(_ask_kernel(host))
    return libraries, _driver(answers, nothing), _gpus(answers, nothing), compare(answers)


def compare(answers: list[Answer]) -> Disagreements | Unknown:
    """Say where sources differ. libcuda shows only what CUDA_VISIBLE_DEVICES leaves, so its GPUs do not count."""
    drivers = {answer.source: answer.version for answer in answers if answer.version}
    cudas = {answer.source: answer.cuda for answer in answers if answer.cuda}
    lists = {answer.source: answer.names for answer in answers if answer.names and answer.source != "libcuda"}
    questions = (
        ("driver version", {source: dotted_driver(version) for source, version in drivers.items()}),
        ("newest CUDA", {source: dotted(cuda) for source, cuda in cudas.items()}),
        ("number of GPUs", {source: str(len(names)) for source, names in lists.items()}),
        ("names of the GPUs", {source: ", ".join(sorted(names)) for source, names in lists.items()}),
    )
    if not any(len(said) > 1 for _, said in questions):
        return Unknown("no two sources about the driver answer the same question")
    found = [Disagreement(what, tuple(said.items())) for what, said in questions if len(set(said.values())) > 1]
    counted = any(one.what == "number of GPUs" for one in found)
    return Disagreements(tuple(one for one in found if not (counted and one.what == "names of the GPUs")))


def _driver(answers: list[Answer], nothing: Unknown) -> Driver | Unknown:
    """Take the version of NVML, else of the module, else of nvidia-smi, else of the library file that answered."""
    answered = [answer for answer in answers if answer.code == 0 or (answer.version and answer.source != KERNEL)]
    if not answered:
        return nothing
    ranked = sorted(answers, key=lambda answer: TRUST.index(answer.source))
    named = [answer.version for answer in ranked] + [answer.library for answer in answered]
    version = next((version for version in named if version), None)
    used = [answer.cuda for answer in answered if answer.source == "libcuda"]  # what programs get, compat or not
    cuda = next((cuda for cuda in (*used, *(answer.cuda for answer in answers)) if cuda), None)
    if version is None:
        return Unknown(say("{source} answers but names no driver version", source=answered[0].source), looked=False)
    return Driver(version=version, cuda=cuda, source=answered[0].source)


def _gpus(answers: list[Answer], nothing: Unknown) -> Gpus | Unknown:
    for answer in answers:
        if answer.gpus:
            return Gpus(answer.gpus, answer.source, answers[0].lost)
    return nothing


def _why(nvml: Answer, cuda: Answer) -> str:
    """Say in words why no GPU came."""
    if nvml.code is None and cuda.code is None:
        return "no NVIDIA driver library (libnvidia-ml.so.1, libcuda.so.1) can be loaded"
    if nvml.code:
        return say("NVML says {code}: {words}", code=nvml.code, words=NVML_WORDS.get(nvml.code, "see nvml.h"))
    return say("CUDA says {code}", code=cuda.code) if cuda.code else "the driver answers but shows no GPU"


def _ask_child(host: Host, script: str, source: str) -> tuple[Answer, str]:
    """Return the child's answer, and what went wrong with the child itself (a hang or a crash), if anything did."""
    output = host.run_python(host.own_python(), CHILDREN / script)
    if output.problem:
        return Answer(source), say("{source}: {problem}", source=source, problem=output.problem)
    if output.code == 0:
        return parse_child(output.out, source), ""
    crashed = say("{source} crashed the process that asked it (exit {code})", source=source, code=output.code)
    return parse_child(output.out, source), crashed


def _ask_smi(host: Host) -> Answer:
    """Ask for the XML, which every driver knows; for CSV and banner where it names no GPU of the table."""
    gpus, version, cuda = parse_smi_xml(host.run(*XML).out)
    if gpus and version and cuda:
        return Answer("nvidia-smi", version=version, cuda=cuda, gpus=gpus)
    listed, told = parse_smi_query(host.run(*QUERY).out)
    banner_version, banner_cuda = parse_smi_banner(host.run("nvidia-smi").out)
    version = version or told or banner_version
    return Answer("nvidia-smi", version=version, cuda=cuda or banner_cuda, gpus=listed or gpus)


def _ask_kernel(host: Host) -> Answer:
    """Read what the module itself says below /proc and /sys: no library is needed for that."""
    names = (parse_proc_gpu(host.read(f"{PROC_GPUS}/{at}/information") or "") for at in host.listing(PROC_GPUS))
    version = find_version((host.read("/sys/module/nvidia/version") or "").strip())
    return Answer(KERNEL, version=version, models=tuple(name for name in names if name))


def _gpu(row: dict[str, Any]) -> Gpu:
    capability: Capability = (int(row["capability"][0]), int(row["capability"][1]))
    mode = _number(row, "compute_mode")
    return Gpu(
        str(row["name"]),
        capability,
        int(row["memory"]) or None,
        free=_number(row, "free"),
        index=_number(row, "index"),
        mig=_truth(row, "mig"),
        mig_instances=_number(row, "mig_instances"),
        persistence=_truth(row, "persistence"),
        compute_mode=COMPUTE_MODES[mode] if mode is not None and 0 <= mode < len(COMPUTE_MODES) else "",
        processes=_number(row, "processes"),
        memory_errors=_number(row, "memory_errors"),
        remap_pending=_truth(row, "remap_pending"),
        fabric=_number(row, "fabric"),
    )


def _number(row: dict[str, Any], key: str) -> int | None:
    value = row.get(key)
    return None if value is None else int(value)


def _truth(row: dict[str, Any], key: str) -> bool | None:
    value = row.get(key)
    return value if isinstance(value, bool) else None
