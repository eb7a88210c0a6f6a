"""In: facts. Out: findings. Each file lists its rules at its end; `ALL_RULES` joins the lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doctor.rules import architecture, compiler, container, data, driver, network, stack, system, toolkit, torch

if TYPE_CHECKING:
    from doctor.finding import Rule

ALL_RULES: tuple[Rule, ...] = (
    *driver.RULES,
    *container.RULES,
    *stack.RULES,
    *torch.RULES,
    *compiler.RULES,
    *toolkit.RULES,
    *architecture.RULES,
    *system.RULES,
    *network.RULES,
    *data.RULES,
)
