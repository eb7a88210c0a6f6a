"""In: facts. Out: findings. Each file lists its rules at its end; `ALL_RULES` joins the lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.rules import (
    architecture,
    compiler,
    container,
    data,
    driver,
    environment,
    extension,
    extension_files,
    gpus,
    health,
    images,
    kernel,
    network,
    packages,
    stack,
    system,
    toolkit,
    torch,
    torch_files,
    wsl,
)

if TYPE_CHECKING:
    from doctor.finding import Rule

ALL_RULES: tuple[Rule, ...] = (
    *kernel.RULES,
    *driver.RULES,
    *gpus.RULES,
    *health.RULES,
    *wsl.RULES,
    *container.RULES,
    *images.RULES,
    *stack.RULES,
    *torch.RULES,
    *torch_files.RULES,
    *packages.RULES,
    *environment.RULES,
    *extension.RULES,
    *extension_files.RULES,
    *compiler.RULES,
    *toolkit.RULES,
    *architecture.RULES,
    *system.RULES,
    *network.RULES,
    *data.RULES,
)
