"""Upstream's state-dict keys and ours, both ways. A key we drop has a reason; a key nobody knows is an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


DROPPED = {  # upstream key → why we have no use for it
    "pts_bbox_head.code_weights": "the recipe's [losses] code_weights hold these ten constants",
}
LAYER = r"pts_bbox_head\.transformer\.{room}\.layers\.(\d+)\."
# (pattern of an upstream key, our key); \1, \2 carry layer numbers and leaf names over
RULES: tuple[tuple[str, str], ...] = (
    (r"img_backbone\.(.+)", r"backbone.\1"),
    (r"img_neck\.lateral_convs\.(\d+)\.conv\.(weight|bias)", r"neck.lateral.\1.\2"),
    (r"img_neck\.fpn_convs\.(\d+)\.conv\.(weight|bias)", r"neck.output.\1.\2"),
    (r"pts_bbox_head\.transformer\.level_embeds", r"level_embeddings"),
    (r"pts_bbox_head\.transformer\.cams_embeds", r"camera_embeddings"),
    (r"pts_bbox_head\.bev_embedding\.weight", r"bev_queries.weight"),
    (r"pts_bbox_head\.query_embedding\.weight", r"object_queries.weight"),
    (r"pts_bbox_head\.positional_encoding\.row_embed\.weight", r"row_positions.weight"),
    (r"pts_bbox_head\.positional_encoding\.col_embed\.weight", r"column_positions.weight"),
    (r"pts_bbox_head\.transformer\.can_bus_mlp\.([02])\.(weight|bias)", r"can_bus_mlp.\1.\2"),
    (r"pts_bbox_head\.transformer\.can_bus_mlp\.norm\.(weight|bias)", r"can_bus_mlp.4.\1"),
    (r"pts_bbox_head\.transformer\.reference_points\.(weight|bias)", r"reference_points.\1"),
    (r"pts_bbox_head\.cls_branches\.(.+)", r"head.classify.\1"),
    (r"pts_bbox_head\.reg_branches\.(.+)", r"head.regress.\1"),
    (LAYER.format(room="encoder") + r"attentions\.0\.(.+)", r"encoder.\1.temporal.\2"),
    (LAYER.format(room="encoder") + r"attentions\.1\.deformable_attention\.(.+)", r"encoder.\1.spatial.pillars.\2"),
    (LAYER.format(room="encoder") + r"attentions\.1\.(output_proj\..+)", r"encoder.\1.spatial.\2"),
    (LAYER.format(room="encoder") + r"ffns\.0\.layers\.0\.0\.(.+)", r"encoder.\1.feed_forward.expand.\2"),
    (LAYER.format(room="encoder") + r"ffns\.0\.layers\.1\.(.+)", r"encoder.\1.feed_forward.contract.\2"),
    (LAYER.format(room="encoder") + r"norms\.(.+)", r"encoder.\1.norms.\2"),
    (LAYER.format(room="decoder") + r"attentions\.0\.attn\.(.+)", r"decoder.layers.\1.self_attention.\2"),
    (LAYER.format(room="decoder") + r"attentions\.1\.(.+)", r"decoder.layers.\1.cross_attention.\2"),
    (LAYER.format(room="decoder") + r"ffns\.0\.layers\.0\.0\.(.+)", r"decoder.layers.\1.feed_forward.expand.\2"),
    (LAYER.format(room="decoder") + r"ffns\.0\.layers\.1\.(.+)", r"decoder.layers.\1.feed_forward.contract.\2"),
    (LAYER.format(room="decoder") + r"norms\.(.+)", r"decoder.layers.\1.norms.\2"),
)


def our_name(upstream: str) -> str | None:
    """Return our key of an upstream key, None if we drop it (`DROPPED` says why). Raises KeyError if unknown."""
    if upstream in DROPPED:
        return None
    for pattern, ours in RULES:
        found = re.fullmatch(pattern, upstream)
        if found:
            return found.expand(ours)
    raise KeyError(upstream)


def upstream_names(ours: Iterable[str], theirs: Iterable[str]) -> dict[str, str]:
    """Return our key → upstream key for the keys of a model, given the upstream keys it may have."""
    back = {name: key for key in theirs if (name := our_name(key)) is not None}
    return {name: back[name] for name in ours}
