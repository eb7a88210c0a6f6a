"""Deformable DETR (arXiv 2010.04159) from images to boxes, top to bottom as in the paper's figure 1.

Plain, with iterative refinement, or two-stage: the recipe says which. Losses and decoding live next door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from repro.models.backbone import Backbone
from repro.models.branches import xavier_matrices
from repro.models.decoder_layer import DecoderLayer
from repro.models.deformable_detr.encoder import EncoderLayer
from repro.models.deformable_detr.head import Head, in_full_precision, place
from repro.models.deformable_detr.neck import Neck
from repro.models.deformable_detr.positions import Tokens, into_levels, token_centres, tokens_of
from repro.models.deformable_detr.proposals import ProposalStage
from repro.tensors import ImagePrediction

if TYPE_CHECKING:
    from repro.recipe import DetrModel, DetrRecipe
    from repro.tensors import ImageBatch, Proposals


class DeformableDETR(nn.Module):
    """Images of different sizes in, class scores and boxes of every object query out."""

    def __init__(self, model: DetrModel, *, classes: int) -> None:
        super().__init__()
        self.settings = model
        C, levels, decoder = model.embed_dims, model.neck.num_outs, model.decoder
        self.backbone = Backbone(model.backbone)
        self.neck = Neck(self.backbone.channels, model.neck)
        self.level_embeddings = nn.Parameter(torch.empty(levels, C))
        self.encoder = nn.ModuleList(EncoderLayer(model) for _ in range(model.encoder.layers))
        if model.two_stage:
            self.proposals = ProposalStage(channels=C, queries=decoder.queries)
        else:
            self.object_queries = nn.Embedding(decoder.queries, 2 * C)
            self.reference_points = nn.Linear(C, 2)
        shape = {"channels": C, "heads": model.heads, "levels": levels, "points": decoder.points}
        self.decoder = nn.ModuleList(
            DecoderLayer(**shape, hidden=model.ffn_dims, dropout=model.dropout) for _ in range(decoder.layers)
        )
        self.head = Head(
            channels=C, classes=classes, layers=decoder.layers, refine=model.refine, two_stage=model.two_stage
        )
        self._init_weights()

    def forward(self, batch: ImageBatch) -> ImagePrediction:
        """Detect objects in a batch of images."""
        tokens = self.image_tokens(batch)
        memory = self.encode(tokens)
        query, position, references, proposals = self.queries(memory, tokens)
        return self.decode(memory, tokens, query, position, references, proposals)

    def image_tokens(self, batch: ImageBatch) -> Tokens:
        """Return the feature levels of a batch as one row of tokens that know where they lie."""
        levels = self.neck(self.backbone(batch.images))
        return tokens_of(levels, batch.padding, self.level_embeddings)

    def encode(self, tokens: Tokens) -> Tensor:
        """Return the memory [B, T, C] that the queries look into."""
        memory = tokens.features
        references = into_levels(token_centres(tokens), tokens.valid_ratios)  # [B, T, L, 2]
        for layer in self.encoder:
            memory = self._run(layer, memory, tokens, references)
        return memory

    def queries(self, memory: Tensor, tokens: Tokens) -> tuple[Tensor, Tensor, Tensor, Proposals | None]:
        """Return content and position [B, K, C] of the queries, their references [B, K, 2 or 4], and the proposals."""
        if self.settings.two_stage:
            proposals, references, both = self.proposals(memory, tokens, self.head.classify[-1], self.head.regress[-1])
            position, content = both.chunk(2, dim=-1)
            return content, position, references, proposals
        position, content = self.object_queries.weight.expand(len(memory), -1, -1).chunk(2, dim=-1)
        return content, position, in_full_precision(self.reference_points, position).sigmoid(), None

    def decode(
        self,
        memory: Tensor,
        tokens: Tokens,
        query: Tensor,
        position: Tensor,
        references: Tensor,
        proposals: Proposals | None = None,
    ) -> ImagePrediction:
        """Return the prediction of every decoder layer.

        With refinement a layer's box is where the next one looks, without gradient; without it the references stay
        where they start, and learn (spec §K).
        """
        logits, boxes, points = [], [], [references]
        for layer, classify, regress in zip(self.decoder, self.head.classify, self.head.regress, strict=False):
            where = into_levels(points[-1], tokens.valid_ratios)  # [B, K, L, 2 or 4]
            query = self._run(layer, query, position, memory, where, tokens.level_sizes, tokens.padding)
            logits.append(classify(query))
            boxes.append(place(in_full_precision(regress, query), points[-1]))
            points.append(boxes[-1].detach() if self.settings.refine else points[-1])
        return ImagePrediction(
            class_logits=torch.stack(logits), boxes=torch.stack(boxes), references=tuple(points), proposals=proposals
        )

    def _run(self, layer: nn.Module, *inputs: Any) -> Tensor:
        """Run a layer; with activation checkpointing it computes again when gradients are taken."""
        saving = self.settings.activation_checkpointing and torch.is_grad_enabled()
        output: Tensor = checkpoint(layer, *inputs, use_reentrant=False) if saving else layer(*inputs)
        return output

    def _init_weights(self) -> None:
        """Start as upstream starts (spec §F.1): Xavier wherever the parts have not set their own."""
        xavier_matrices(self.encoder, self.decoder)
        nn.init.normal_(self.level_embeddings)
        if self.settings.two_stage:
            xavier_matrices(self.proposals)
        else:
            xavier_matrices(self.reference_points)
            nn.init.zeros_(self.reference_points.bias)


def build_deformable_detr(recipe: DetrRecipe) -> DeformableDETR:
    """Return the model of a recipe with freshly initialised weights."""
    return DeformableDETR(recipe.model, classes=recipe.data.classes)
