"""Two-stage: every token of the encoder proposes a box, the best become where the queries start (spec §E.2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.models.deformable_detr.head import in_full_precision
from repro.models.deformable_detr.positions import sines, token_centres
from repro.tensors import Proposals

if TYPE_CHECKING:
    from repro.models.deformable_detr.positions import Tokens

SMALLEST = 0.05  # width and height of a proposal in the finest level; they double from level to level
MARGIN = 0.01  # a proposal with a number nearer to 0 or 1 than this proposes nothing


class ProposalStage(nn.Module):
    """Scores every token as an object, and makes queries out of the best boxes."""

    def __init__(self, *, channels: int, queries: int) -> None:
        super().__init__()
        self.queries = queries
        self.project, self.norm = nn.Linear(channels, channels), nn.LayerNorm(channels)
        self.position, self.position_norm = nn.Linear(2 * channels, 2 * channels), nn.LayerNorm(2 * channels)

    def forward(
        self, memory: Tensor, tokens: Tokens, classify: nn.Module, regress: nn.Module
    ) -> tuple[Proposals, Tensor, Tensor]:
        """Return the proposals, the queries' references [B, K, 4] without gradient, and their embedding [B, K, 2C].

        memory [B, T, C] of the encoder. Raises ValueError when there are fewer tokens than queries.
        """
        if memory.shape[1] < self.queries:
            raise ValueError(
                f"{self.queries} queries from {memory.shape[1]} tokens (levels {list(tokens.level_sizes)}): "
                "larger images, or fewer queries ([model.decoder] queries)"
            )
        anchors = anchor_logits(tokens)  # [B, T, 4]
        nothing = anchors.isinf().any(-1, keepdim=True)
        states = self.norm(self.project(memory.masked_fill(nothing, 0.0)))
        logits, boxes = classify(states), in_full_precision(regress, states) + anchors
        # quirk: by the score of class 0 alone, and those that propose nothing compete too (spec §K)
        chosen = logits[..., 0].float().topk(self.queries, dim=1).indices
        references = boxes.gather(1, chosen[..., None].expand(-1, -1, 4)).detach().sigmoid()
        embedding: Tensor = self.position_norm(self.position(box_sines(references, memory.shape[-1] // 2)))
        return Proposals(class_logits=logits, boxes=boxes.sigmoid(), chosen=chosen), references, embedding


def anchor_logits(tokens: Tokens) -> Tensor:
    """Return [B, T, 4]: logits of a box around each token that doubles in size by level; +inf where it does not count.

    A box counts if its token lies in the image and all four numbers lie within 0.01..0.99.
    """
    centres = token_centres(tokens)
    sizes = [centres.new_full((h * w,), SMALLEST * 2.0**level) for level, (h, w) in enumerate(tokens.level_sizes)]
    extent = torch.cat(sizes)[None, :, None].expand(len(centres), -1, 2)
    boxes = torch.cat([centres, extent], -1)
    counts = ((boxes > MARGIN) & (boxes < 1 - MARGIN)).all(-1) & ~tokens.padding
    return torch.log(boxes / (1 - boxes)).masked_fill(~counts[..., None], math.inf)


def box_sines(boxes: Tensor, channels: int) -> Tensor:
    """Return [B, K, 4·channels]: sine encodings of x, y, w, h of boxes [B, K, 4] in 0..1, `channels` each."""
    return sines(boxes * 2 * math.pi, channels).flatten(-2)
