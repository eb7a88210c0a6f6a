"""The signatures, by room. A file holds rows only; what a row is stands in `signature.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.logs.signatures import (
    build,
    checkpoint,
    compiler,
    container,
    data,
    driver,
    evaluation,
    extension,
    gpu,
    kernel,
    launch,
    network,
    openmmlab,
    packages,
    python,
    system,
    toolkit,
    torch,
    training,
    wsl,
)

if TYPE_CHECKING:
    from doctor.logs.signature import Signature

ALL_SIGNATURES: tuple[Signature, ...] = (
    *wsl.SIGNATURES,
    *kernel.SIGNATURES,
    *driver.SIGNATURES,
    *gpu.SIGNATURES,
    *torch.SIGNATURES,
    *toolkit.SIGNATURES,
    *compiler.SIGNATURES,
    *build.SIGNATURES,
    *extension.SIGNATURES,
    *openmmlab.SIGNATURES,
    *packages.SIGNATURES,
    *python.SIGNATURES,
    *network.SIGNATURES,
    *container.SIGNATURES,
    *launch.SIGNATURES,
    *data.SIGNATURES,
    *evaluation.SIGNATURES,
    *checkpoint.SIGNATURES,
    *training.SIGNATURES,
    *system.SIGNATURES,
)
