"""What the record of a run says of where the number came from and what it took, as rows of words for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from repro.progress import duration_words

if TYPE_CHECKING:
    from repro.record.schema import FileFact, GpuUse, Record, Use
    from repro.report.facts import Row


@dataclass(frozen=True, slots=True)
class Taken:
    """What one stage took: wall time and peak memory of the process that led it, in words and as shares of the most."""

    stage: str
    seconds: str
    time_share: float
    host: str
    host_share: float
    gpu: str


def taken_rows(record: Record) -> list[Taken]:
    """Return time and memory by stage, in the order of the story; bars are in per cent of the longest and largest."""
    longest = max((stage.seconds for stage in record.stages), default=0.0) or 1.0
    peaks = [stage.use.host_peak_gib or 0.0 if stage.use else 0.0 for stage in record.stages]
    largest = max(peaks, default=0.0) or 1.0
    return [
        Taken(
            stage=stage.name,
            seconds=f"{stage.seconds:.1f} s" if stage.seconds < 10 else duration_words(stage.seconds),
            time_share=round(100 * stage.seconds / longest, 2),
            host=f"{peak:.2f} GiB" if peak else "not known",
            host_share=round(100 * peak / largest, 2),
            gpu=_gpu_words(stage.use),
        )
        for stage, peak in zip(record.stages, peaks, strict=True)
    ]


def _gpu_words(use: Use | None) -> str:
    """Return what NVML and torch saw of the GPUs during a stage; nothing where there was none."""
    if use is None:
        return ""
    own = [f"{use.torch_gpu_peak_gib:.2f} GiB held by PyTorch"] if use.torch_gpu_peak_gib is not None else []
    return "; ".join(own + [_one_gpu(gpu) for gpu in use.gpus])


def _one_gpu(gpu: GpuUse) -> str:
    power = f", {gpu.power_w:.0f} W" if gpu.power_w is not None else ""
    heat = f", {gpu.temperature_peak_c:.0f} °C at most" if gpu.temperature_peak_c is not None else ""
    return f"{gpu.name}: {gpu.memory_peak_gib:.2f} GiB at most, {gpu.utilisation_percent:.0f} % busy{power}{heat}"


def origin_rows(record: Record) -> list[Row]:
    """Return what the number came from: code, environment, operator, numerics, data."""
    source, stack, numbers, files = record.source, record.stack, record.numerics, record.data_files
    dirty = f", changed: patch `{(source.diff_sha256 or '')[:12]}`" if source.dirty else ", unchanged"
    untracked = f", files unknown to git: {len(source.untracked)}" if source.untracked else ""
    return [
        ("source", f"`{source.commit or 'unknown'}`{dirty}{untracked}"),
        ("stack", f"{stack.name}, lock `{stack.lock_sha256 or 'unknown'}`, {len(stack.packages)} packages"),
        ("container", f"image `{record.container.image_digest}`" if record.container else "none"),
        ("deformable attention", f"{record.extension.op}: {record.extension.why}"),
        ("seed, determinism", f"{numbers.seed}, {'on' if numbers.deterministic_algorithms else 'off'}"),
        ("precision, threads", f"{numbers.precision}, {numbers.threads}"),
        ("processes", str(record.processes)),
        ("data files hashed", f"{len(files.tables)} tables, {len(files.images)} of {files.images_in_all} images"),
        ("record", f"of {record.written}, seal `{record.seal}`"),
    ]


def file_rows(record: Record) -> list[Row]:
    """Return the files that the run left or read: role, path, size, SHA-256."""
    return [_file_row(file) for file in record.files]


def _file_row(file: FileFact) -> Row:
    return (file.role, f"`{file.path}`", f"{file.size:,} bytes", f"`{file.sha256}`")
