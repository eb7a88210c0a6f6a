"""The [model] tables of BEVFormer, its quirks included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from repro.recipe.tables import Backbone, Closed, Fraction, Positive

if TYPE_CHECKING:
    from typing_extensions import Self


class Neck(Closed):
    """FPN (spec §B.3): `num_outs` feature levels, those beyond the backbone's by stride-2 convs."""

    out_channels: Positive
    num_outs: Positive


class Bev(Closed):
    """The bird's-eye-view grid (spec §A.1, §B.5)."""

    rows: Positive
    columns: Positive
    range: Annotated[
        tuple[float, float, float, float, float, float],
        Field(description="x, y, z minimum; x, y, z maximum, metres, LiDAR frame"),
    ]


class Encoder(Closed):
    """Layers of temporal self-attention, spatial cross-attention and feed-forward (spec §B.8)."""

    layers: Positive
    temporal_points: Positive
    spatial_points: Positive
    pillar_points: Positive

    @model_validator(mode="after")
    def _points_share_anchors(self) -> Self:
        if self.spatial_points % self.pillar_points:
            raise ValueError(
                f"spatial_points ({self.spatial_points}) must be a multiple of pillar_points ({self.pillar_points})"
            )
        return self


class Decoder(Closed):
    """Object queries refined layer by layer (spec §B.9)."""

    layers: Positive
    queries: Positive
    points: Positive


class Quirks(Closed):
    """Where upstream differs from what its paper says (spec §I); defaults are upstream HEAD.

    `released()` is how the code behaved when the published v1 checkpoints were trained.
    """

    shift_current_ref: Annotated[bool, Field(description="quirk 1: ego shift also moves the current half")] = False
    can_bus_orientation: Annotated[
        Literal["w", "quaternion"], Field(description="quirk 2: slots 3..6 hold w four times, or the quaternion")
    ] = "w"
    rotate_center: Annotated[
        tuple[float, float] | Literal["middle"], Field(description="quirk 3: pixel (x, y) the history turns about")
    ] = (100.0, 100.0)
    temporal_rows: Annotated[
        Literal["upstream", "fixed"], Field(description="quirk 5: which rows join the query when B > 1")
    ] = "upstream"
    camera_hits: Annotated[
        Literal["first_item", "each_item"], Field(description="quirk 6: whose visibility selects the queries")
    ] = "first_item"
    history_exists: Annotated[
        Literal["first_item", "each_item"], Field(description="quirk 8: whose flag decides about history")
    ] = "first_item"
    yaw_delta: Annotated[
        Literal["unwrapped", "wrapped"], Field(description="quirk 9: yaw difference near ±360° as it is, or in ±180°")
    ] = "unwrapped"
    can_bus_rates: Annotated[
        Literal["next", "current"], Field(description="quirk 10: which message gives accel, rate and velocity")
    ] = "next"
    broken_history: Annotated[
        Literal["drop", "duplicate"],
        Field(description="quirk 22: at a scene border in a clip drop the history, or repeat the last valid frame"),
    ] = "drop"

    def released(self) -> Quirks:
        """Return these quirks as they were when the published checkpoints were trained (quirks 1 and 22)."""
        return self.model_copy(update={"shift_current_ref": True, "broken_history": "duplicate"})


class Model(Closed):
    """BEVFormer, whole (spec §A)."""

    architecture: Literal["bevformer"]
    embed_dims: Positive
    heads: Positive
    ffn_dims: Positive
    dropout: Fraction
    use_history: Annotated[bool, Field(description="upstream's video_test_mode: False runs every frame alone")]
    level_embeddings: Annotated[Positive, Field(description="rows of level_embeds, 4 upstream even for one level")]
    backbone: Backbone
    neck: Neck
    bev: Bev
    encoder: Encoder
    decoder: Decoder
    quirks: Quirks = Quirks()

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if self.embed_dims % self.heads:
            raise ValueError(f"embed_dims ({self.embed_dims}) must be a multiple of heads ({self.heads})")
        if self.neck.out_channels != self.embed_dims:
            raise ValueError(f"neck.out_channels ({self.neck.out_channels}) must equal embed_dims ({self.embed_dims})")
        if self.level_embeddings < self.neck.num_outs:
            raise ValueError(
                f"level_embeddings ({self.level_embeddings}) must cover neck.num_outs ({self.neck.num_outs})"
            )
        if self.neck.num_outs < len(self.backbone.out_stages):
            raise ValueError(
                f"neck.num_outs ({self.neck.num_outs}) must cover backbone.out_stages {list(self.backbone.out_stages)}"
            )
        return self
