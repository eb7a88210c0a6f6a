"""The upstream optimisers and learning-rate schedules (spec §A.2, §G.2; Deformable DETR spec §A); no loop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from repro.recipe import DetrOptimizer, Optimizer, Schedule, StepSchedule


def build_optimizer(model: torch.nn.Module, settings: Optimizer) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters, the backbone's with their own learning rate.

    Weight decay holds for every parameter, norms, biases and embeddings included, as upstream.
    Each group carries `lr_factor`, its share of the recipe's learning rate.
    """
    return _adamw(model, settings, lambda name: name.startswith("backbone."), settings.backbone_lr_factor)


def build_slow_optimizer(model: torch.nn.Module, settings: DetrOptimizer) -> torch.optim.AdamW:
    """Return AdamW as above; parameters whose name holds a word of `settings.slow` learn slower."""
    return _adamw(model, settings, lambda name: any(word in name for word in settings.slow), settings.slow_lr_factor)


def _adamw(
    model: torch.nn.Module, settings: Optimizer | DetrOptimizer, is_slow: Callable[[str], bool], slow_factor: float
) -> torch.optim.AdamW:
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    slow = [p for name, p in trainable if is_slow(name)]
    rest = [p for name, p in trainable if not is_slow(name)]
    groups = [
        {"params": params, "lr": settings.lr * factor, "lr_factor": factor}
        for params, factor in ((slow, slow_factor), (rest, 1.0))
        if params
    ]
    return torch.optim.AdamW(
        groups, lr=settings.lr, betas=settings.betas, eps=settings.eps, weight_decay=settings.weight_decay
    )


def schedule_factor(schedule: Schedule, *, iteration: int, per_epoch: int) -> float:
    """Return what the learning rates are multiplied with at a global `iteration` (from 0).

    Cosine from 1 to `min_lr_ratio` over the epochs, constant inside an epoch, times a linear warm-up.
    """
    epoch = iteration // per_epoch
    low = schedule.min_lr_ratio
    cosine = low + 0.5 * (1.0 - low) * (1.0 + math.cos(math.pi * epoch / schedule.epochs))
    if iteration >= schedule.warmup_iterations:
        return cosine
    to_go = 1.0 - iteration / schedule.warmup_iterations
    return cosine * (1.0 - to_go * (1.0 - schedule.warmup_ratio))


def step_factor(schedule: StepSchedule, *, iteration: int, per_epoch: int) -> float:
    """Return what the learning rates are multiplied with at a global `iteration` (from 0): a step per milestone."""
    epoch = iteration // per_epoch
    passed = sum(epoch >= milestone for milestone in schedule.milestones)
    factor: float = schedule.factor**passed
    return factor
