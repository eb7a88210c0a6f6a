"""Asks the CUDA driver API through ctypes, in a process of its own because a broken driver may hang or crash it."""

import ctypes
import json
import sys

NAME_BYTES = 96
ATTRIBUTE_MAJOR, ATTRIBUTE_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{MAJOR,MINOR} of cuda.h


def gpus(cuda: ctypes.CDLL) -> "list[dict[str, object]]":
    """Return name, capability and memory of every GPU that CUDA may use (CUDA_VISIBLE_DEVICES counts)."""
    count = ctypes.c_int()
    if cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    found: list[dict[str, object]] = []
    for index in range(count.value):
        device, major, minor, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
        name = ctypes.create_string_buffer(NAME_BYTES)
        if cuda.cuDeviceGet(ctypes.byref(device), index) != 0:
            continue
        cuda.cuDeviceGetName(name, NAME_BYTES, device)
        cuda.cuDeviceGetAttribute(ctypes.byref(major), ATTRIBUTE_MAJOR, device)
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), ATTRIBUTE_MINOR, device)
        cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        row = {"index": index, "name": name.value.decode("utf-8", "replace"), "capability": [major.value, minor.value]}
        found.append({**row, "memory": memory.value})
    return found


def ask() -> "dict[str, object]":
    """Return libcuda's answer; `code` is None where the library cannot be loaded."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as why:
        return {"code": None, "why": str(why)}
    version = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))  # works without a kernel module
    code = cuda.cuInit(0)
    answer: dict[str, object] = {"code": code, "cuda": version.value}
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123 — start-up time
        answer["library"] = next((line.split()[-1] for line in maps if "libcuda.so" in line), "")
    if code == 0:
        answer["gpus"] = gpus(cuda)
    return answer


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ask()) + "\n")
