"""What a stage takes of the machine while it runs: peak memory of host and GPU, and what NVML says of each GPU.

Everything is optional: where the kernel, torch or NVML does not say, there is None or nothing, and the stage runs on.
"""

from __future__ import annotations

import resource
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from repro.record.schema import GpuUse, Use

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOOK_EVERY_S = 5.0
GIB = 2**30
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5): sets the peak resident size to the present one


@dataclass(slots=True)
class GpuLooks:
    """What was read of one GPU so far: per cent, watts, bytes and °C, a value a look."""

    name: str
    utilisation: list[float] = field(default_factory=list)
    power: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    temperature: list[float] = field(default_factory=list)

    def use(self) -> GpuUse:
        """Return means and peaks."""
        return GpuUse(
            name=self.name,
            samples=len(self.utilisation),
            utilisation_percent=round(_mean(self.utilisation), 1),
            power_w=round(_mean(self.power), 1) if self.power else None,
            memory_peak_gib=round(max(self.memory, default=0.0) / GIB, 3),
            temperature_peak_c=max(self.temperature, default=None),
        )


@contextmanager
def metered() -> Iterator[dict[str, Any]]:
    """Measure this process and its GPUs during the block; the table it yields is filled with a `Use` at its end."""
    seen: dict[str, Any] = {}
    _reset_peaks()
    with gpus_watched(_nvml(), _uuids()) as gpus:
        yield seen
    host, device = host_peak_bytes(), _torch_peak_bytes()
    use = Use(
        host_peak_gib=None if host is None else round(host / GIB, 3),
        torch_gpu_peak_gib=None if device is None else round(device / GIB, 3),
        gpus=tuple(gpu.use() for gpu in gpus if gpu.utilisation),
    )
    seen.update(use.model_dump(mode="json"))


@contextmanager
def gpus_watched(nvml: Any, uuids: Sequence[str], *, every_s: float = LOOK_EVERY_S) -> Iterator[Sequence[GpuLooks]]:
    """Look at these GPUs from a thread until the block ends, at least twice; `nvml` is pynvml, None for no looks."""
    handles = _handles(nvml, uuids)
    gpus = [GpuLooks(_name(nvml, handle)) for handle in handles]
    if not gpus:
        yield ()
        return
    stop = threading.Event()

    def watch() -> None:
        while True:
            for gpu, handle in zip(gpus, handles, strict=True):
                look(nvml, handle, gpu)
            if stop.wait(every_s):
                return

    thread = threading.Thread(target=watch, name="telemetry", daemon=True)
    thread.start()
    try:
        yield gpus
    finally:
        stop.set()
        thread.join(timeout=every_s)
        for gpu, handle in zip(gpus, handles, strict=True):
            look(nvml, handle, gpu)


def look(nvml: Any, handle: Any, gpu: GpuLooks) -> None:
    """Read one GPU once; a figure that it does not have is left out."""
    with suppress(nvml.NVMLError):
        gpu.utilisation.append(float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
    with suppress(nvml.NVMLError):
        gpu.power.append(nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
    with suppress(nvml.NVMLError):
        gpu.memory.append(float(nvml.nvmlDeviceGetMemoryInfo(handle).used))
    with suppress(nvml.NVMLError):
        gpu.temperature.append(float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)))


def host_peak_bytes() -> int | None:
    """Return the peak resident size of this process since the last reset; of its whole life where Linux has none."""
    with suppress(OSError, ValueError, IndexError):
        lines = STATUS.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _reset_peaks() -> None:
    with suppress(OSError):
        CLEAR.write_text(RESET_PEAK, encoding="utf-8")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _torch_peak_bytes() -> int | None:
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None


def _nvml() -> Any:
    """Return pynvml at work, None where there is no driver or no package."""
    try:
        import pynvml  # noqa: PLC0415 — optional: a machine without NVIDIA's driver

        pynvml.nvmlInit()
    except (ImportError, OSError):
        return None
    except Exception as error:
        if type(error).__module__.startswith("pynvml"):
            return None
        raise
    return pynvml


def _uuids() -> list[str]:
    """Return what NVML calls the GPUs that torch sees; numbers would not do, NVML counts in another order."""
    if not torch.cuda.is_available():
        return []
    return [f"GPU-{torch.cuda.get_device_properties(i).uuid}" for i in range(torch.cuda.device_count())]


def _handles(nvml: Any, uuids: Sequence[str]) -> list[Any]:
    found = []
    for uuid in uuids if nvml is not None else ():
        with suppress(nvml.NVMLError):
            found.append(nvml.nvmlDeviceGetHandleByUUID(uuid.encode()))
    return found


def _name(nvml: Any, handle: Any) -> str:
    with suppress(nvml.NVMLError):
        name = nvml.nvmlDeviceGetName(handle)
        return name.decode() if isinstance(name, bytes) else str(name)
    return "unknown"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
