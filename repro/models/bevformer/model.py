"""BEVFormer (arXiv 2203.17270) from images to boxes, top to bottom as in the paper's figure 2.

Time is explicit: the history is an argument and the BEV a result; nothing is remembered inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.models.backbone import Backbone
from repro.models.bevformer.decoder import Decoder
from repro.models.bevformer.encoder import BevView, EncoderLayer
from repro.models.bevformer.geometry import bev_references, ego_shift, pillar_references, project_pillars, turn_history
from repro.models.bevformer.head import Head, place_codes
from repro.models.bevformer.temporal import interleave
from repro.models.branches import xavier_matrices
from repro.models.fpn import FPN
from repro.tensors import CAN_BUS_SLOTS, Frame, Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repro.recipe import Model, Recipe


class BEVFormer(nn.Module):
    """Six cameras and the BEV of half a second ago in, this moment's BEV and object queries out."""

    def __init__(self, model: Model, *, cameras: int, classes: int) -> None:
        super().__init__()
        self.settings = model
        C, rows, columns = model.embed_dims, model.bev.rows, model.bev.columns
        self.backbone = Backbone(model.backbone)
        self.neck = FPN(self.backbone.channels, model.neck.out_channels, model.neck.num_outs)
        self.level_embeddings = nn.Parameter(torch.empty(model.level_embeddings, C))
        self.camera_embeddings = nn.Parameter(torch.empty(cameras, C))
        self.bev_queries = nn.Embedding(rows * columns, C)
        self.row_positions = nn.Embedding(rows, C // 2)
        self.column_positions = nn.Embedding(columns, C // 2)
        self.can_bus_mlp = nn.Sequential(
            nn.Linear(CAN_BUS_SLOTS, C // 2), nn.ReLU(), nn.Linear(C // 2, C), nn.ReLU(), nn.LayerNorm(C)
        )
        self.encoder = nn.ModuleList(EncoderLayer(model) for _ in range(model.encoder.layers))
        self.object_queries = nn.Embedding(model.decoder.queries, 2 * C)
        self.reference_points = nn.Linear(C, 3)
        self.decoder = Decoder(model)
        self.head = Head(channels=C, classes=classes, layers=model.decoder.layers)
        self._init_weights()

    def forward(self, frame: Frame, history: Tensor | None) -> Prediction:
        """Detect objects in a frame, given the BEV [B, Q, C] of the step before (None where there is none)."""
        return self.decode(self.encode(frame, self.image_tokens(frame.images), history))

    def image_tokens(self, images: Tensor) -> tuple[Tensor, tuple[tuple[int, int], ...]]:
        """Return camera tokens [N, B, S, C], level after level, and the level sizes, of images [B, N, 3, H, W]."""
        B, N = images.shape[:2]
        maps = self.neck(self.backbone(images.flatten(0, 1)))  # L × [B·N, C, h, w]
        tokens = [
            level.view(B, N, level.shape[1], -1).permute(1, 0, 3, 2)  # [N, B, h·w, C]
            + self.camera_embeddings[:, None, None]
            + embedding
            for level, embedding in zip(maps, self.level_embeddings, strict=False)
        ]
        return torch.cat(tokens, 2), tuple((level.shape[-2], level.shape[-1]) for level in maps)

    def encode(
        self, frame: Frame, tokens: tuple[Tensor, tuple[tuple[int, int], ...]], history: Tensor | None
    ) -> Tensor:
        """Return the BEV [B, Q, C] of a frame from its image tokens and the history [B, Q, C]."""
        query = self._bev_query(frame.can_bus)
        view = self._view(frame, query, tokens, self._usable(frame, history))
        for layer in self.encoder:
            query = layer(query, view)
        return query

    def decode(self, bev: Tensor) -> Prediction:
        """Return the prediction of every decoder layer from a BEV [B, Q, C]."""
        B, model = bev.shape[0], self.settings
        position, content = self.object_queries.weight.expand(B, -1, -1).chunk(2, dim=-1)  # [B, K, C] each
        references = self.reference_points(position).sigmoid()
        size = (model.bev.rows, model.bev.columns)
        states, raw, points = self.decoder(content, position, bev, references, size, self.head.regress)
        codes = place_codes(raw, points[:-1], model.bev.range)
        return Prediction(bev=bev, cls_logits=self.head.logits(states), box_codes=codes, references=points)

    def _bev_query(self, can_bus: Tensor) -> Tensor:
        weight = self.bev_queries.weight
        motion: Tensor = self.can_bus_mlp(can_bus.to(weight.dtype))
        return weight + motion[:, None]  # [B, Q, C]

    def _view(
        self, frame: Frame, query: Tensor, tokens: tuple[Tensor, tuple[tuple[int, int], ...]], history: Tensor | None
    ) -> BevView:
        """Put together what all encoder layers look at."""
        bev, quirks = self.settings.bev, self.settings.quirks
        B, device = len(frame.tokens), frame.images.device
        size = (bev.rows, bev.columns)
        cells = bev_references(*size, device=device).expand(B, -1, -1)  # [B, Q, 2]
        pairs, past, present = None, cells, cells
        if history is not None:
            center = (bev.columns / 2, bev.rows / 2) if quirks.rotate_center == "middle" else quirks.rotate_center
            turned = turn_history(history, frame.can_bus[:, 17], size=size, center=center)
            pairs = interleave(turned, query)
            shift = ego_shift(frame.can_bus, bev_range=bev.range, rows=bev.rows, columns=bev.columns)
            past = cells + shift.to(cells.dtype)[:, None]
            present = past if quirks.shift_current_ref else cells
        pillars = pillar_references(
            *size, self.settings.encoder.pillar_points, bev.range[5] - bev.range[2], device=device
        )
        where, visible = project_pillars(pillars, frame.img_from_lidar, bev.range, frame.image_size)
        return BevView(
            position=cell_positions(self.row_positions.weight, self.column_positions.weight).expand(B, -1, -1),
            pairs=pairs,
            has_history=self._has_history(frame),
            bev_references=interleave(past, present),
            tokens=tokens[0],
            image_references=where,
            visible=visible,
            bev_size=size,
            level_sizes=tokens[1],
        )

    def _has_history(self, frame: Frame) -> Tensor:
        """Return which items have a history: quirk 8 lets the first item decide for all."""
        if self.settings.quirks.history_exists == "first_item":
            return frame.has_history[:1].expand(len(frame.has_history))
        return frame.has_history

    def _usable(self, frame: Frame, history: Tensor | None) -> Tensor | None:
        if history is None or not self.settings.use_history or not bool(self._has_history(frame).any()):
            return None
        Q, C = self.bev_queries.weight.shape
        if history.shape != (len(frame.tokens), Q, C):
            raise ValueError(f"history is {list(history.shape)}; expected {[len(frame.tokens), Q, C]}")
        return history

    def _init_weights(self) -> None:
        """Start as upstream starts (spec §B.11): Xavier wherever the parts have not set their own."""
        xavier_matrices(self.can_bus_mlp, self.encoder, self.reference_points, self.decoder)
        nn.init.zeros_(self.reference_points.bias)
        nn.init.normal_(self.level_embeddings)
        nn.init.normal_(self.camera_embeddings)  # the nn.Embeddings start as N(0, 1) by themselves (quirk 15)


def cell_positions(rows: Tensor, columns: Tensor) -> Tensor:
    """Return the learned position [Q, C] of each cell from rows [Y, C/2] and columns [X, C/2]: column part first."""
    across = columns.expand(len(rows), -1, -1)  # [Y, X, C/2]
    down = rows[:, None].expand(-1, len(columns), -1)
    return torch.cat([across, down], -1).flatten(0, 1)


def build_bevformer(recipe: Recipe) -> BEVFormer:
    """Return the model of a recipe with freshly initialised weights."""
    return BEVFormer(recipe.model, cameras=len(recipe.data.cameras), classes=len(recipe.data.classes))


@torch.no_grad()
def history_of(model: BEVFormer, frames: Sequence[Frame]) -> Tensor | None:
    """Return the BEV [B, Q, C] of the last of `frames` (oldest first), None without frames or history (spec §C.1).

    Runs in evaluation mode, without gradient; all images go through the backbone at once. The mode is restored.
    """
    if not frames or not model.settings.use_history:
        return None
    was_training = model.training
    model.eval()
    B = len(frames[0].tokens)
    tokens, sizes = model.image_tokens(torch.cat([frame.images for frame in frames]))  # [N, T·B, S, C]
    history: Tensor | None = None
    for frame, seen in zip(frames, torch.split(tokens, B, dim=1), strict=True):
        history = model.encode(frame, (seen, sizes), history)
    model.train(was_training)
    return history
