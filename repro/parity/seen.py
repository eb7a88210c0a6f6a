"""What a model's parts hand to each other during a forward pass, kept for comparison. Changes nothing in the model."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from repro.models.bevformer import BEVFormer
    from repro.models.bevformer.encoder import BevView


@dataclass(slots=True)
class Seen:
    """The latest value of each: feature maps of backbone and neck, the encoder's view and outputs, and so on.

    backbone, neck  L × [B·N, C, h, w]      view     what the encoder layers look at
    motion          [B, C], the CAN bus embedding    encoder  [B, Q, C] of each layer
    states          [layers, B, K, C], the decoder's
    """

    backbone: list[Tensor] = field(default_factory=list)
    neck: list[Tensor] = field(default_factory=list)
    encoder: list[Tensor] = field(default_factory=list)
    view: BevView = field(init=False)
    motion: Tensor = field(init=False)
    states: Tensor = field(init=False)


@contextmanager
def watch(model: BEVFormer) -> Iterator[Seen]:
    """Yield a `Seen` that each forward pass of `model` fills anew; the hooks go when the block ends."""
    seen = Seen()

    def keep(name: str, part: int | None = None) -> Any:
        def hook(_module: object, _inputs: object, output: Any) -> None:
            setattr(seen, name, output if part is None else output[part])

        return hook

    def keep_layer(layer: int) -> Any:
        def hook(_module: object, inputs: tuple[Any, ...], output: Tensor) -> None:
            if layer == 0:
                seen.view, seen.encoder = inputs[1], []
            seen.encoder.append(output)

        return hook

    with ExitStack() as hooks:
        for module, hook in (
            (model.backbone, keep("backbone")),
            (model.neck, keep("neck")),
            (model.can_bus_mlp, keep("motion")),
            (model.decoder, keep("states", 0)),
            *((layer, keep_layer(number)) for number, layer in enumerate(model.encoder)),
        ):
            hooks.callback(module.register_forward_hook(hook).remove)
        yield seen
