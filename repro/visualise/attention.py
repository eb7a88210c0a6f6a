"""Where a BEV cell looks: the places that one encoder layer samples, caught from outside while the model runs.

`watching` hangs hooks on a layer for the length of one forward pass and takes them off again; the model knows nothing
of it and keeps no state. What is caught are the tensors that the operator itself is given (the layer's references and
the outputs of its offset and weight projections), so that a drawing cannot differ from what is sampled.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from repro.models.bevformer.encoder import EncoderLayer
from repro.models.bevformer.temporal import QUEUE
from repro.ops.reference import sampling_places, sizes_xy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from repro.models.bevformer import BEVFormer


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialLook:
    """Where one BEV cell looks in the cameras (spec §B.8.3), in fractions of the padded image.

    anchors    [N, D, 2] the pillar points as projected; heights are those of `pillar_references`, lowest first
    visible    [N, D] bool, which of them a camera sees; a camera with none is not looked into
    places     [N, M, L, P, 2] the sampled points; point p belongs to pillar point p mod D
    weights    [M, L, P], the same for every camera; a head's sum to 1
    """

    anchors: Tensor
    visible: Tensor
    places: Tensor
    weights: Tensor

    @property
    def looked_into(self) -> Tensor:
        """Which cameras the cell looks into, [N] bool."""
        return self.visible.any(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalLook:
    """Where one BEV cell looks in the BEV before and in the present one (spec §B.8.1), in fractions of the BEV.

    anchors      [2, 2] the reference points: in the history (turned onto the present heading), in the present BEV
    places       [2, M, P, 2] the sampled points
    weights      [2, M, P]; those of a head sum to 1 over both halves, as the mean over the two makes it
    has_history  False where both halves are the present BEV
    """

    anchors: Tensor
    places: Tensor
    weights: Tensor
    has_history: bool


@dataclass(slots=True)
class Caught:
    """What the hooks of `watching` caught of one encoder layer in one forward pass; empty before it."""

    number: int
    layer: EncoderLayer
    temporal: tuple[Any, ...] = ()
    spatial: tuple[Any, ...] = ()
    projected: dict[str, Tensor] = field(default_factory=dict)

    def spatial_look(self, cell: int, item: int = 0) -> SpatialLook:
        """Return where the cell with the row-major number `cell` looks in the cameras."""
        assert self.spatial, "nothing was caught: run the model inside `watching`"
        pillars = self.layer.spatial.pillars
        _, _, references, visible, level_sizes = self.spatial
        M, L, P = pillars.heads, pillars.levels, pillars.points
        anchors, seen = references[:, item, cell], visible[:, item, cell]  # [N, D, 2], [N, D]
        N, D = seen.shape
        offsets = self.projected["spatial offsets"][item, cell].view(M, L, P, 2)
        weights = self.projected["spatial weights"][item, cell].view(M, L * P).softmax(-1).view(M, L, P)
        shifts = (offsets / sizes_xy(level_sizes, offsets)).view(M, L, P // D, D, 2)
        places = (anchors.view(N, 1, 1, 1, D, 2) + shifts).flatten(3, 4)
        return SpatialLook(anchors=anchors, visible=seen, places=places, weights=weights)

    def temporal_look(self, cell: int, item: int = 0) -> TemporalLook:
        """Return where the cell with the row-major number `cell` looks in the history and in the present BEV."""
        assert self.temporal, "nothing was caught: run the model inside `watching`"
        temporal = self.layer.temporal
        query, _, pairs, references, size = self.temporal
        M, P = temporal.heads, temporal.points
        anchors = references.view(-1, QUEUE, *references.shape[1:])[item, :, cell]  # [2, 2]
        offsets = self.projected["temporal offsets"][item, cell].view(1, 1, M, QUEUE, P, 2)
        logits = self.projected["temporal weights"][item, cell].view(1, 1, M, QUEUE, P)
        places, weights = sampling_places(
            query, [size] * QUEUE, anchors.view(1, 1, QUEUE, 2), offsets, logits.log_softmax(-1).flatten(-2)
        )
        return TemporalLook(
            anchors=anchors,
            places=places[0, 0].transpose(0, 1),
            weights=weights[0, 0].transpose(0, 1),
            has_history=pairs is not None,
        )


@contextmanager
def watching(model: BEVFormer, layer: int) -> Iterator[Caught]:
    """Yield what encoder layer `layer` (from 0; -1 is the last) is given while the model runs inside the block.

    The last forward pass counts. Raises IndexError for a layer that the model does not have.
    """
    number = range(len(model.encoder))[layer]
    watched = model.encoder[number]
    assert isinstance(watched, EncoderLayer), "the encoder is made of encoder layers"
    caught = Caught(number, watched)

    def keep_inputs(name: str) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            setattr(caught, name, tuple(x.detach() if isinstance(x, torch.Tensor) else x for x in inputs))

        return hook

    def keep_output(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
            caught.projected[name] = output.detach().float()

        return hook

    hooks = [
        watched.temporal.register_forward_pre_hook(keep_inputs("temporal")),
        watched.spatial.register_forward_pre_hook(keep_inputs("spatial")),
    ]
    projections = {
        "temporal offsets": watched.temporal.sampling_offsets,
        "temporal weights": watched.temporal.attention_weights,
        "spatial offsets": watched.spatial.pillars.sampling_offsets,
        "spatial weights": watched.spatial.pillars.attention_weights,
    }
    hooks += [module.register_forward_hook(keep_output(name)) for name, module in projections.items()]
    try:
        yield caught
    finally:
        for hook in hooks:
            hook.remove()
