"""What a recipe may say: the closed schema. Reading files and wording errors is `load.py`'s business.

No field has a hidden default that changes a result: a recipe file states every number of spec §A itself.
Only `Quirks` has defaults, because "what the authors' HEAD does" is their meaning.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
PositiveReal = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Triple = tuple[float, float, float]

CLASSES = (
    "car",
    "truck",
    "construction_vehicle",
    "bus",
    "trailer",
    "barrier",
    "motorcycle",
    "bicycle",
    "pedestrian",
    "traffic_cone",
)
CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
STRIDE_OF_STAGE = (4, 8, 16, 32)  # ResNet stages 0..3 (spec §B.2)


class Closed(BaseModel):
    """A frozen table that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(Closed):
    """Which samples the recipe reads (spec §A.2, §C.2)."""

    dataset: Literal["nuscenes"]
    classes: tuple[str, ...]
    cameras: tuple[str, ...]
    queue_length: Annotated[Positive, Field(description="frames per training clip, the current one included")]

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if self.classes != CLASSES:
            raise ValueError(f"classes must be the ten nuScenes detection classes in label order: {list(CLASSES)}")
        if self.cameras != CAMERAS:
            raise ValueError(f"cameras must be, in this order (it is the order of cams_embeds): {list(CAMERAS)}")
        return self


class Images(Closed):
    """From a JPEG to the tensor the backbone sees (spec §B.1)."""

    raw_size: Annotated[tuple[Positive, Positive], Field(description="rows, columns of the JPEG")]
    scale: PositiveReal
    mean: Triple
    std: Annotated[Triple, Field(description="per channel, in the channel order of `to_rgb`")]
    to_rgb: bool
    pad_divisor: Positive

    @property
    def resized(self) -> tuple[int, int]:
        """Rows and columns after the resize."""
        height, width = self.raw_size
        return int(height * self.scale), int(width * self.scale)

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns after padding right and bottom."""
        height, width = self.resized
        return -(-height // self.pad_divisor) * self.pad_divisor, -(-width // self.pad_divisor) * self.pad_divisor


class Photometric(Closed):
    """Colour distortion of the training images (spec §C.4)."""

    brightness_delta: float
    contrast: tuple[float, float]
    saturation: tuple[float, float]
    hue_delta: Annotated[float, Field(description="degrees")]


class GridMask(Closed):
    """Grid-shaped occlusion of the training images (spec §C.5)."""

    probability: Fraction
    ratio: Fraction


class Augment(Closed):
    """Training-time augmentation; leave a table out to switch it off."""

    photometric: Photometric | None = None
    grid_mask: GridMask | None = None


class Backbone(Closed):
    """ResNet, as mmdet builds it (spec §A.1, §B.2)."""

    depth: Literal[18, 50, 101]
    style: Annotated[Literal["pytorch", "caffe"], Field(description="stride on conv2 (pytorch) or conv1 (caffe)")]
    out_stages: Annotated[tuple[int, ...], Field(description="0-based stages handed to the neck")]
    frozen_stages: Annotated[int, Field(ge=-1, le=4, description="-1 none, 0 stem, k stem and the first k stages")]
    dcn_stages: Annotated[tuple[int, ...], Field(description="0-based stages whose 3×3 convs are DCNv2")]
    activation_checkpointing: bool
    norm_eval: Annotated[bool, Field(description="batch norm always uses its running statistics, affine frozen")]
    pretrained: Annotated[
        Literal["none", "torchvision", "fcos3d"], Field(description="where training starts when no checkpoint is given")
    ]

    @model_validator(mode="after")
    def _stages_exist(self) -> Self:
        for key in ("out_stages", "dcn_stages"):
            stages = getattr(self, key)
            if any(s not in range(4) for s in stages) or list(stages) != sorted(set(stages)):
                raise ValueError(f"{key} must be ascending stage numbers out of 0, 1, 2, 3, got {list(stages)}")
        if not self.out_stages:
            raise ValueError("out_stages must name at least one stage")
        return self


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


class Matcher(Closed):
    """Hungarian assignment costs (spec §D)."""

    class_weight: float
    box_weight: float
    alpha: Fraction
    gamma: float


class Losses(Closed):
    """Focal classification and L1 box losses (spec §D)."""

    class_weight: float
    box_weight: float
    alpha: Fraction
    gamma: float
    code_weights: tuple[float, float, float, float, float, float, float, float, float, float]


class Coder(Closed):
    """From predictions to boxes (spec §E.1)."""

    max_boxes: Positive
    center_range: tuple[float, float, float, float, float, float]


class Optimizer(Closed):
    """AdamW (spec §A.2)."""

    lr: PositiveReal
    backbone_lr_factor: PositiveReal
    weight_decay: Annotated[float, Field(ge=0)]
    betas: tuple[float, float]
    eps: PositiveReal
    clip_norm: PositiveReal


class Schedule(Closed):
    """Cosine per epoch after a linear warm-up per iteration (spec §G)."""

    epochs: Positive
    warmup_iterations: NonNegative
    warmup_ratio: Fraction
    min_lr_ratio: Fraction


class Train(Closed):
    """How the training data is fed (spec §F.3)."""

    batch_per_gpu: Positive
    workers: NonNegative
    seed: NonNegative
    log_every: Positive
    precision: Literal["32-true", "16-mixed", "bf16-mixed"]
    loss_scale: Annotated[
        PositiveReal | None, Field(description="fixed factor on the loss in float16; the other precisions need none")
    ] = None
    gpus_assumed: Annotated[Positive, Field(description="GPUs of the published run; the learning rate belongs to them")]

    @model_validator(mode="after")
    def _float16_says_its_scale(self) -> Self:
        if (self.precision == "16-mixed") != (self.loss_scale is not None):
            wanted = "needs a loss_scale (upstream: 512.0)" if self.loss_scale is None else "takes no loss_scale"
            raise ValueError(f'precision = "{self.precision}" {wanted}')
        return self


class Evaluation(Closed):
    """The nuScenes detection benchmark (spec §F.4)."""

    protocol: Literal["detection_cvpr_2019"]
    workers: NonNegative
    split: Annotated[
        Literal["upstream", "scene"],
        Field(description="between processes: equal chunks that cut scenes (spec §F.3), or whole scenes"),
    ] = "upstream"


class Expected(Closed):
    """The published number, where it stands, and how far from it still counts as reproduced."""

    nds: Fraction | None = None
    map: Fraction | None = None
    tolerance: PositiveReal
    split: Literal["val", "mini_val", "mini_train"]
    source: str


class Smoke(Closed):
    """How far `--smoke` shortens each stage; every figure it changes is named in the report."""

    train_iterations: Positive
    eval_frames: Positive
    workers: NonNegative


class Recipe(Closed):
    """One experiment, whole."""

    schema_version: Literal[1]
    name: Name
    title: str
    data: Data
    images: Images
    augment: Augment
    model: Model
    matcher: Matcher
    losses: Losses
    coder: Coder
    optimizer: Optimizer
    schedule: Schedule
    train: Train
    eval: Evaluation
    expected: Expected
    smoke: Smoke

    @property
    def feature_sizes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each feature level that the spatial cross-attention reads."""
        height, width = self.images.padded
        strides = [STRIDE_OF_STAGE[s] for s in self.model.backbone.out_stages]
        sizes = [(-(-height // s), -(-width // s)) for s in strides]
        while len(sizes) < self.model.neck.num_outs:
            rows, columns = sizes[-1]
            sizes.append((-(-rows // 2), -(-columns // 2)))
        return tuple(sizes)
