"""Names of Deformable DETR's tensors: mmdet 2.14's, the original repository's, and ours, all ways (spec §I.1, §J.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from repro.models.key_pairs import KeyPairs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from torch import Tensor

    from repro.models.deformable_detr.model import DeformableDETR

    Family = Literal["mmdet", "original"]

TRANSFORMER = "bbox_head.transformer"
ENCODER, DECODER = f"{TRANSFORMER}.encoder.layers.<n>", f"{TRANSFORMER}.decoder.layers.<n>"
MMDET = KeyPairs(
    ("backbone.<leaf>", "backbone.<leaf>"),
    ("neck.convs.<n>.conv.<leaf>", "neck.lateral.<n>.conv.<leaf>"),
    ("neck.convs.<n>.gn.<leaf>", "neck.lateral.<n>.norm.<leaf>"),
    ("neck.extra_convs.<n>.conv.<leaf>", "neck.extra.<n>.conv.<leaf>"),
    ("neck.extra_convs.<n>.gn.<leaf>", "neck.extra.<n>.norm.<leaf>"),
    (f"{TRANSFORMER}.level_embeds", "level_embeddings"),
    (f"{ENCODER}.attentions.0.<leaf>", "encoder.<n>.attention.<leaf>"),
    (f"{ENCODER}.ffns.0.layers.0.0.<leaf>", "encoder.<n>.feed_forward.expand.<leaf>"),
    (f"{ENCODER}.ffns.0.layers.1.<leaf>", "encoder.<n>.feed_forward.contract.<leaf>"),
    (f"{ENCODER}.norms.<m>.<leaf>", "encoder.<n>.norms.<m>.<leaf>"),
    (f"{DECODER}.attentions.0.attn.<leaf>", "decoder.<n>.self_attention.<leaf>"),
    (f"{DECODER}.attentions.1.<leaf>", "decoder.<n>.cross_attention.<leaf>"),
    (f"{DECODER}.ffns.0.layers.0.0.<leaf>", "decoder.<n>.feed_forward.expand.<leaf>"),
    (f"{DECODER}.ffns.0.layers.1.<leaf>", "decoder.<n>.feed_forward.contract.<leaf>"),
    (f"{DECODER}.norms.<m>.<leaf>", "decoder.<n>.norms.<m>.<leaf>"),
    (f"{TRANSFORMER}.reference_points.<leaf>", "reference_points.<leaf>"),
    (f"{TRANSFORMER}.enc_output.<leaf>", "proposals.project.<leaf>"),
    (f"{TRANSFORMER}.enc_output_norm.<leaf>", "proposals.norm.<leaf>"),
    (f"{TRANSFORMER}.pos_trans.<leaf>", "proposals.position.<leaf>"),
    (f"{TRANSFORMER}.pos_trans_norm.<leaf>", "proposals.position_norm.<leaf>"),
    ("bbox_head.cls_branches.<leaf>", "head.classify.<leaf>"),
    ("bbox_head.reg_branches.<leaf>", "head.regress.<leaf>"),
    ("bbox_head.query_embedding.weight", "object_queries.weight"),
)
THEIR_ENCODER, THEIR_DECODER = "transformer.encoder.layers.<n>", "transformer.decoder.layers.<n>"
ORIGINAL = KeyPairs(  # three maps of the backbone, one level beyond: what every published model has
    ("backbone.0.body.<leaf>", "backbone.<leaf>"),
    ("input_proj.3.0.<leaf>", "neck.extra.0.conv.<leaf>"),
    ("input_proj.3.1.<leaf>", "neck.extra.0.norm.<leaf>"),
    ("input_proj.<n>.0.<leaf>", "neck.lateral.<n>.conv.<leaf>"),
    ("input_proj.<n>.1.<leaf>", "neck.lateral.<n>.norm.<leaf>"),
    ("transformer.level_embed", "level_embeddings"),
    (f"{THEIR_ENCODER}.self_attn.<leaf>", "encoder.<n>.attention.<leaf>"),
    (f"{THEIR_ENCODER}.linear1.<leaf>", "encoder.<n>.feed_forward.expand.<leaf>"),
    (f"{THEIR_ENCODER}.linear2.<leaf>", "encoder.<n>.feed_forward.contract.<leaf>"),
    (f"{THEIR_ENCODER}.norm1.<leaf>", "encoder.<n>.norms.0.<leaf>"),
    (f"{THEIR_ENCODER}.norm2.<leaf>", "encoder.<n>.norms.1.<leaf>"),
    (f"{THEIR_DECODER}.self_attn.<leaf>", "decoder.<n>.self_attention.<leaf>"),
    (f"{THEIR_DECODER}.cross_attn.<leaf>", "decoder.<n>.cross_attention.<leaf>"),
    (f"{THEIR_DECODER}.linear1.<leaf>", "decoder.<n>.feed_forward.expand.<leaf>"),
    (f"{THEIR_DECODER}.linear2.<leaf>", "decoder.<n>.feed_forward.contract.<leaf>"),
    (f"{THEIR_DECODER}.norm2.<leaf>", "decoder.<n>.norms.0.<leaf>"),  # numbered by age there, by order here
    (f"{THEIR_DECODER}.norm1.<leaf>", "decoder.<n>.norms.1.<leaf>"),
    (f"{THEIR_DECODER}.norm3.<leaf>", "decoder.<n>.norms.2.<leaf>"),
    ("transformer.reference_points.<leaf>", "reference_points.<leaf>"),
    ("transformer.enc_output.<leaf>", "proposals.project.<leaf>"),
    ("transformer.enc_output_norm.<leaf>", "proposals.norm.<leaf>"),
    ("transformer.pos_trans.<leaf>", "proposals.position.<leaf>"),
    ("transformer.pos_trans_norm.<leaf>", "proposals.position_norm.<leaf>"),
    ("class_embed.<n>.<leaf>", "head.classify.<n>.<leaf>"),
    ("bbox_embed.<n>.layers.0.<leaf>", "head.regress.<n>.0.<leaf>"),
    ("bbox_embed.<n>.layers.1.<leaf>", "head.regress.<n>.2.<leaf>"),
    ("bbox_embed.<n>.layers.2.<leaf>", "head.regress.<n>.4.<leaf>"),
    ("query_embed.weight", "object_queries.weight"),
)
FAMILIES: dict[Family, KeyPairs] = {"mmdet": MMDET, "original": ORIGINAL}
TWICE = re.compile(r"transformer\.decoder\.((?:class|bbox)_embed\..+)")  # the same branches, listed a second time
COUNTER = "num_batches_tracked"  # of frozen norms: mmdet's files have it, the original's do not; nothing reads it


def family_of(keys: Mapping[str, object]) -> Family:
    """Return whose names the keys of a checkpoint are; ours count as mmdet's."""
    marks = ("backbone.0.body.", "input_proj.", "transformer.", "class_embed.", "bbox_embed.", "query_embed.")
    return "original" if any(key.startswith(marks) for key in keys) else "mmdet"


def our_name(upstream: str) -> str | None:
    """Return our key of a key of either family, None for the branches that the original's files hold twice.

    Raises KeyError if unknown.
    """
    if TWICE.fullmatch(upstream):
        return None
    return FAMILIES[family_of({upstream: None})].ours(upstream)


def with_counters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, and zero batch counters for norms that have none (original's files)."""
    counters = {
        f"{key.removesuffix('running_var')}{COUNTER}": torch.zeros((), dtype=torch.int64)
        for key in tensors
        if key.endswith(".running_var")
    }
    return counters | dict(tensors)


def upstream_state(model: DeformableDETR, family: Family) -> dict[str, Tensor]:
    """Return a model's tensors under the names of a family, as its own code would save them (spec §I.1, §J.2).

    The original's files have no batch counters, hold refined box branches twice, and with two stages the class
    branches too. Raises KeyError for a tensor that has no place there.
    """
    pairs, state = FAMILIES[family], model.state_dict()
    if family == "mmdet":
        return {pairs.theirs(name): tensor for name, tensor in state.items()}
    theirs = {pairs.theirs(name): tensor for name, tensor in state.items() if not name.endswith(COUNTER)}
    branches = {"bbox_embed": model.settings.refine, "class_embed": model.settings.two_stage}
    twice = {key: tensor for key, tensor in theirs.items() if branches.get(key.partition(".")[0], False)}
    return theirs | {f"transformer.decoder.{key}": tensor for key, tensor in twice.items()}
