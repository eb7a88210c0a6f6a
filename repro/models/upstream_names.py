"""Upstream's state-dict keys and ours, both ways. A key we drop has a reason; a key nobody knows is an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


DROPPED = {  # upstream key → why we have no use for it
    "pts_bbox_head.code_weights": "the recipe's [losses] code_weights hold these ten constants",
}
HEAD, TRANSFORMER = "pts_bbox_head", "pts_bbox_head.transformer"
ENCODER, DECODER = f"{TRANSFORMER}.encoder.layers.<n>", f"{TRANSFORMER}.decoder.layers.<n>"
# (upstream, ours), read both ways: <n> and <m> are numbers, <leaf> is the rest of a name; the first that fits counts
PAIRS: tuple[tuple[str, str], ...] = (
    ("img_backbone.<leaf>", "backbone.<leaf>"),
    ("img_neck.lateral_convs.<n>.conv.<leaf>", "neck.lateral.<n>.<leaf>"),
    ("img_neck.fpn_convs.<n>.conv.<leaf>", "neck.output.<n>.<leaf>"),
    (f"{TRANSFORMER}.level_embeds", "level_embeddings"),
    (f"{TRANSFORMER}.cams_embeds", "camera_embeddings"),
    (f"{HEAD}.bev_embedding.weight", "bev_queries.weight"),
    (f"{HEAD}.query_embedding.weight", "object_queries.weight"),
    (f"{HEAD}.positional_encoding.row_embed.weight", "row_positions.weight"),
    (f"{HEAD}.positional_encoding.col_embed.weight", "column_positions.weight"),
    (f"{TRANSFORMER}.can_bus_mlp.norm.<leaf>", "can_bus_mlp.4.<leaf>"),
    (f"{TRANSFORMER}.can_bus_mlp.<n>.<leaf>", "can_bus_mlp.<n>.<leaf>"),
    (f"{TRANSFORMER}.reference_points.<leaf>", "reference_points.<leaf>"),
    (f"{HEAD}.cls_branches.<leaf>", "head.classify.<leaf>"),
    (f"{HEAD}.reg_branches.<leaf>", "head.regress.<leaf>"),
    (f"{ENCODER}.attentions.0.<leaf>", "encoder.<n>.temporal.<leaf>"),
    (f"{ENCODER}.attentions.1.deformable_attention.<leaf>", "encoder.<n>.spatial.pillars.<leaf>"),
    (f"{ENCODER}.attentions.1.<leaf>", "encoder.<n>.spatial.<leaf>"),
    (f"{ENCODER}.ffns.0.layers.0.0.<leaf>", "encoder.<n>.feed_forward.expand.<leaf>"),
    (f"{ENCODER}.ffns.0.layers.1.<leaf>", "encoder.<n>.feed_forward.contract.<leaf>"),
    (f"{ENCODER}.norms.<m>.<leaf>", "encoder.<n>.norms.<m>.<leaf>"),
    (f"{DECODER}.attentions.0.attn.<leaf>", "decoder.layers.<n>.self_attention.<leaf>"),
    (f"{DECODER}.attentions.1.<leaf>", "decoder.layers.<n>.cross_attention.<leaf>"),
    (f"{DECODER}.ffns.0.layers.0.0.<leaf>", "decoder.layers.<n>.feed_forward.expand.<leaf>"),
    (f"{DECODER}.ffns.0.layers.1.<leaf>", "decoder.layers.<n>.feed_forward.contract.<leaf>"),
    (f"{DECODER}.norms.<m>.<leaf>", "decoder.layers.<n>.norms.<m>.<leaf>"),
)
PLACES = {"n": r"(?P<n>\d+)", "m": r"(?P<m>\d+)", "leaf": r"(?P<leaf>.+)"}


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"<(\w+)>", lambda place: PLACES[place[1]], template.replace(".", r"\.")))


def _words(template: str) -> str:
    return re.sub(r"<(\w+)>", r"\\g<\1>", template)


FORWARD = tuple((_pattern(theirs), _words(ours)) for theirs, ours in PAIRS)
BACKWARD = tuple((_pattern(ours), _words(theirs)) for theirs, ours in PAIRS)


def modern_name(upstream: str) -> str:
    """Return the present spelling of an upstream key: files of before mmcv's DCN version 2 say `conv2_offset`.

    Spec §B.2. Also "backbone." and "neck." of single-camera detectors (FCOS3D) become "img_backbone.", "img_neck.".
    """
    return re.sub(r"^(backbone|neck)\.", r"img_\1.", _modern_offsets(upstream))


def _modern_offsets(upstream: str) -> str:
    return re.sub(r"\.conv2_offset\.(weight|bias)$", r".conv2.conv_offset.\1", upstream)


def our_name(upstream: str) -> str | None:
    """Return our key of an upstream key, None if we drop it (`DROPPED` says why). Raises KeyError if unknown."""
    key = _modern_offsets(upstream)
    if key in DROPPED:
        return None
    return _translated(key, FORWARD)


def upstream_name(ours: str) -> str:
    """Return the upstream key of one of our keys, the inverse of `our_name`. Raises KeyError if unknown."""
    return _translated(ours, BACKWARD)


def _translated(key: str, pairs: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, words in pairs:
        found = pattern.fullmatch(key)
        if found:
            return found.expand(words)
    raise KeyError(key)


def upstream_names(ours: Iterable[str], theirs: Iterable[str]) -> dict[str, str]:
    """Return our key → upstream key for the keys of a model, given the upstream keys it may have."""
    back = {name: key for key in theirs if (name := our_name(key)) is not None}
    return {name: back[name] for name in ours}
