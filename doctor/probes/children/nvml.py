"""Asks NVML through ctypes, in a process of its own because a broken driver may hang or crash whoever asks it."""

import ctypes
import json
import sys

NAME_BYTES = 96


class Memory(ctypes.Structure):
    """nvmlMemory_t of nvml.h."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def text_of(function: "ctypes._NamedFuncPointer", *words: object) -> str:
    """Return the text that an NVML getter writes into a buffer, empty where it fails."""
    buffer = ctypes.create_string_buffer(NAME_BYTES)
    return buffer.value.decode("utf-8", "replace") if function(*words, buffer, NAME_BYTES) == 0 else ""


def gpus(nvml: ctypes.CDLL) -> "list[dict[str, object]]":
    """Return name, capability and memory of every GPU."""
    count = ctypes.c_uint()
    if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    found: list[dict[str, object]] = []
    for index in range(count.value):
        handle, memory = ctypes.c_void_p(), Memory()
        major, minor = ctypes.c_int(), ctypes.c_int()
        if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) != 0:
            continue
        nvml.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor))
        nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
        name = text_of(nvml.nvmlDeviceGetName, handle)
        found.append({"name": name, "capability": [major.value, minor.value], "memory": memory.total})
    return found


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
