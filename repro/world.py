"""The processes of one run as Lightning Fabric sees them: how they are joined, and how the first one speaks for all."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, TypeVar

from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.amp.grad_scaler import GradScaler

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from repro.launch import Place

T = TypeVar("T")
AGREED = "seen_by_all_processes"
PATIENCE = dt.timedelta(hours=2)  # the others wait while the first one indexes a data set or scores a split
ENVIRONMENTS = {"none": LightningEnvironment, "torchrun": TorchElasticEnvironment, "slurm": SLURMEnvironment}


class FixedScaler(GradScaler):
    """A gradient scaler that keeps its scale, whatever overflows (spec §G.1); steps that overflow are left out."""

    def __init__(self, scale: float, *, device: str) -> None:
        super().__init__(device=device, init_scale=scale)
        self._fixed = scale

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Forget the overflow of this step and set the scale again."""
        super().update(self._fixed if new_scale is None else new_scale)


def open_world(place: Place, *, device: str, nodes: int, precision: Any, loss_scale: float | None = None) -> Fabric:
    """Return the Fabric of this process, joined with the others of its run (spec §G.6: plain DDP).

    Blocks until all `place.world` processes are there. `device` is "cpu" or "cuda"; `loss_scale` belongs to float16.
    """
    accelerator = device.split(":", 1)[0]
    plugins: list[Any] = [ENVIRONMENTS[place.launcher]()]
    if precision == "16-mixed" and loss_scale is not None:
        plugins.append(MixedPrecision("16-mixed", accelerator, FixedScaler(loss_scale, device=accelerator)))
    strategy = DDPStrategy(broadcast_buffers=False, find_unused_parameters=False, timeout=PATIENCE)
    fabric = Fabric(
        accelerator=accelerator,
        devices=place.world // nodes,
        num_nodes=nodes,
        strategy=strategy if place.world > 1 else "auto",
        precision=None if len(plugins) > 1 else precision,
        plugins=plugins,
    )
    fabric.launch()
    return fabric


def is_agreed(error: BaseException) -> bool:
    """Tell whether all processes got this error from the first one, by `from_first`."""
    return bool(getattr(error, AGREED, False))


def from_first(fabric: Fabric, make: Callable[[], T]) -> T:
    """Return what `make` returns on the first process, on all of them; what it raises there is raised everywhere.

    Files that all would write, and words that all would print, are the first one's.
    """
    answer: tuple[Any, Exception | None] = (None, None)
    if fabric.is_global_zero:
        try:
            answer = (make(), None)
        except Exception as error:  # noqa: BLE001 — raised again below, here and on every other process
            answer = (None, error)
    value: T
    value, failure = fabric.broadcast(answer) if fabric.world_size > 1 else answer
    if failure is not None:
        setattr(failure, AGREED, True)
        raise failure
    return value
