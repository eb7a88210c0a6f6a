"""Asks NVML through ctypes, in a process of its own because a broken driver may hang or crash whoever asks it."""

import ctypes
import json
import sys

NAME_BYTES = 96
MISSING = -1  # no code of NVML is negative
MOST_MIG = 8  # seven instances are the most that any GPU can be cut into
TOO_SMALL = 7  # NVML_ERROR_INSUFFICIENT_SIZE: the answer to a question for a number alone
UNCORRECTED, VOLATILE = 1, 0  # nvmlMemoryErrorType_t, nvmlEccCounterType_t: since the driver was loaded


class Memory(ctypes.Structure):
    """nvmlMemory_t of nvml.h."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Fabric(ctypes.Structure):
    """nvmlGpuFabricInfo_t of nvml.h."""

    _fields_ = (
        ("cluster", ctypes.c_ubyte * 16),
        ("status", ctypes.c_int),
        ("clique", ctypes.c_uint),
        ("state", ctypes.c_ubyte),
    )


def call(nvml: ctypes.CDLL, name: str, *words: object) -> int:
    """Return a function's code; MISSING where this driver's library does not have the function yet."""
    try:
        return int(getattr(nvml, name)(*words))
    except AttributeError:
        return MISSING


def text_of(function: "ctypes._NamedFuncPointer", *words: object) -> str:
    """Return the text that an NVML getter writes into a buffer, empty where it fails."""
    buffer = ctypes.create_string_buffer(NAME_BYTES)
    return buffer.value.decode("utf-8", "replace") if function(*words, buffer, NAME_BYTES) == 0 else ""


def numbers(nvml: ctypes.CDLL, name: str, handle: ctypes.c_void_p, count: int) -> "list[int] | None":
    """Return what a getter of `count` numbers writes; None where it fails or is missing."""
    values = [ctypes.c_uint() for _ in range(count)]
    code = call(nvml, name, handle, *map(ctypes.byref, values))
    return [value.value for value in values] if code == 0 else None


def mig(nvml: ctypes.CDLL, handle: ctypes.c_void_p) -> "dict[str, object]":
    """Return whether MIG is on, and if so how many instances there are."""
    mode = numbers(nvml, "nvmlDeviceGetMigMode", handle, 2)  # now, after a reset
    if mode is None or mode[0] == 0:
        return {"mig": None if mode is None else False, "mig_instances": None}
    device = ctypes.c_void_p()
    name = "nvmlDeviceGetMigDeviceHandleByIndex"
    cut = [call(nvml, name, handle, at, ctypes.byref(device)) for at in range(MOST_MIG)]
    return {"mig": True, "mig_instances": cut.count(0)}


def health(nvml: ctypes.CDLL, handle: ctypes.c_void_p) -> "dict[str, object]":
    """Return uncorrected memory errors, whether a row waits to be remapped, and the NVLink fabric's state."""
    errors, fabric = ctypes.c_ulonglong(), Fabric()
    counted = call(nvml, "nvmlDeviceGetTotalEccErrors", handle, UNCORRECTED, VOLATILE, ctypes.byref(errors))
    rows = numbers(nvml, "nvmlDeviceGetRemappedRows", handle, 4)  # corrected, uncorrected, pending, failed
    told = call(nvml, "nvmlDeviceGetGpuFabricInfo", handle, ctypes.byref(fabric))
    return {
        "memory_errors": errors.value if counted == 0 else None,
        "remap_pending": bool(rows[2]) if rows else None,
        "fabric": fabric.state if told == 0 else None,
    }


def use(nvml: ctypes.CDLL, handle: ctypes.c_void_p) -> "dict[str, object]":
    """Return the GPU's memory, who computes on it, and who may."""
    memory, count = Memory(), ctypes.c_uint()
    nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
    listed = call(nvml, "nvmlDeviceGetComputeRunningProcesses_v3", handle, ctypes.byref(count), None)
    persistence = numbers(nvml, "nvmlDeviceGetPersistenceMode", handle, 1)
    mode = numbers(nvml, "nvmlDeviceGetComputeMode", handle, 1)
    return {
        "memory": memory.total,
        "free": memory.free,
        "processes": count.value if listed in {0, TOO_SMALL} else None,
        "persistence": bool(persistence[0]) if persistence else None,
        "compute_mode": mode[0] if mode else None,
    }


def gpu(nvml: ctypes.CDLL, index: int) -> "dict[str, object]":
    """Return one GPU; only its code where NVML cannot open it."""
    handle = ctypes.c_void_p()
    code = nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle))
    if code != 0:
        return {"index": index, "code": code}
    capability = numbers(nvml, "nvmlDeviceGetCudaComputeCapability", handle, 2) or [0, 0]
    row: dict[str, object] = {"index": index, "name": text_of(nvml.nvmlDeviceGetName, handle), "capability": capability}
    for part in (use, mig, health):
        row.update(part(nvml, handle))
    return row


def gpus(nvml: ctypes.CDLL) -> "list[dict[str, object]]":
    """Return every GPU that the driver counts."""
    count = ctypes.c_uint()
    if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    return [gpu(nvml, index) for index in range(count.value)]


def ask() -> "dict[str, object]":
    """Return NVML's answer; `code` is None where the library cannot be loaded."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError as why:
        return {"code": None, "why": str(why)}
    code = nvml.nvmlInit_v2()
    answer: dict[str, object] = {"code": code}
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123 — start-up time
        answer["library"] = next((line.split()[-1] for line in maps if "libnvidia-ml.so" in line), "")
    if code == 0:
        cuda = ctypes.c_int()
        nvml.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(cuda))
        answer["driver"] = text_of(nvml.nvmlSystemGetDriverVersion)
        answer["cuda"] = cuda.value
        answer["gpus"] = gpus(nvml)
        nvml.nvmlShutdown()
    return answer


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ask()) + "\n")
