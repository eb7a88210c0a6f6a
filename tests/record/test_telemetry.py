"""What a stage took: peak memory of this process, and GPUs through an NVML that answers from a table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from repro.record.schema import Use
from repro.record.telemetry import gpus_watched, host_peak_bytes, metered

MIB = 2**20


class NVMLError(Exception):
    """As in pynvml: what a GPU without the figure asked for answers."""


def nvml(*, power: bool) -> Any:
    """Return what stands in for NVIDIA's library: one GPU, busier at every look."""
    looks = iter(range(1, 1000))

    def watts(_handle: str) -> int:
        if not power:
            raise NVMLError
        return 250_000

    def by_uuid(uuid: bytes) -> str:
        if uuid != b"GPU-1":
            raise NVMLError
        return "one"

    return SimpleNamespace(
        NVMLError=NVMLError,
        NVML_TEMPERATURE_GPU=0,
        nvmlDeviceGetHandleByUUID=by_uuid,
        nvmlDeviceGetName=lambda _handle: b"A GPU",
        nvmlDeviceGetUtilizationRates=lambda _handle: SimpleNamespace(gpu=10 * next(looks)),
        nvmlDeviceGetPowerUsage=watts,
        nvmlDeviceGetMemoryInfo=lambda _handle: SimpleNamespace(used=3 << 30),
        nvmlDeviceGetTemperature=lambda _handle, _sensor: 61,
    )


def test_a_gpu_is_looked_at_when_the_stage_starts_and_when_it_ends() -> None:
    with gpus_watched(nvml(power=True), ["GPU-1"], every_s=60) as gpus:
        pass
    use = gpus[0].use()
    assert (use.name, use.samples, use.utilisation_percent) == ("A GPU", 2, 15.0)
    assert (use.power_w, use.memory_peak_gib, use.temperature_peak_c) == (250.0, 3.0, 61.0)


def test_a_figure_that_a_gpu_does_not_have_is_left_out() -> None:
    with gpus_watched(nvml(power=False), ["GPU-1"], every_s=60) as gpus:
        pass
    assert gpus[0].use().power_w is None


def test_without_nvml_or_with_a_gpu_that_it_does_not_know_nothing_is_looked_at() -> None:
    for library, uuid in ((None, "GPU-1"), (nvml(power=True), "GPU-2")):
        with gpus_watched(library, [uuid]) as gpus:
            assert list(gpus) == []


def test_the_peak_of_a_stage_is_its_own_and_not_that_of_the_one_before() -> None:
    with metered() as first:
        block = bytearray(200 * MIB)
        block[::4096] = b"x" * len(block[::4096])
        del block
    with metered() as second:
        pass
    uses = [Use.model_validate(table) for table in (first, second)]
    peaks = [use.host_peak_gib for use in uses]
    assert peaks[0] is not None
    assert peaks[1] is not None
    assert peaks[0] > peaks[1] + 0.1
    assert host_peak_bytes() is not None
