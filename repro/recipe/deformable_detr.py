"""What a recipe of Deformable DETR may say (spec A to H); the tables both models share are in `tables.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from repro.recipe.coco import LABELS
from repro.recipe.schema import Train
from repro.recipe.tables import Backbone, Closed, Fraction, Name, NonNegative, Positive, PositiveReal, Triple

if TYPE_CHECKING:
    from typing_extensions import Self


class CocoData(Closed):
    """Which images and boxes the recipe reads (spec §B.2)."""

    dataset: Literal["coco"]
    labels: Annotated[
        Literal["contiguous", "category_id"],
        Field(description="80 classes in category order (mmdet), or 91 logits by category id (original)"),
    ]
    smallest_side: Annotated[
        NonNegative, Field(description="training images with a shorter side are left out; 0 keeps all")
    ]

    @property
    def classes(self) -> int:
        """How many class logits a query has."""
        return LABELS[self.labels]


class CocoImages(Closed):
    """From an image file to the tensor the backbone sees, at test time (spec §B.1, §J.1)."""

    resize: Annotated[
        Literal["cv2", "pil"], Field(description="bilinear of OpenCV (mmdet), or antialiased of PIL (original)")
    ]
    short_side: Positive
    long_side: Annotated[Positive, Field(description="a longer side shrinks the image further")]
    mean: Triple
    std: Annotated[Triple, Field(description="per channel, in the channel order of `to_rgb`, on 0..255")]
    to_rgb: bool


class Crop(Closed):
    """The second of the two training policies: resize, crop, resize again (spec §B.2)."""

    probability: Fraction
    short_sides: tuple[Positive, ...]
    long_side: Annotated[NonNegative, Field(description="cap of the first resize; 0 is no cap (original)")]
    sizes: Annotated[tuple[Positive, Positive], Field(description="least and greatest side of the crop, pixels")]


class CocoAugment(Closed):
    """Training-time augmentation (spec §B.2); leave [augment.crop] out to switch it off."""

    flip: Fraction
    short_sides: Annotated[tuple[Positive, ...], Field(description="one is drawn for each image", min_length=1)]
    long_side: Positive
    crop: Crop | None = None


class Neck(Closed):
    """1×1 convolutions and group norm; levels beyond the backbone's by 3×3 convolutions of stride 2 (spec §A)."""

    out_channels: Positive
    num_outs: Positive
    norm_groups: Positive
    bias: Annotated[bool, Field(description="a bias on the convolutions: the original has one, mmdet none")]


class Encoder(Closed):
    """Layers of deformable self-attention over all levels (spec §D)."""

    layers: Positive
    points: Positive


class Decoder(Closed):
    """Object queries, layer by layer (spec §F)."""

    layers: Positive
    queries: Positive
    points: Positive


class DetrModel(Closed):
    """Deformable DETR, whole (spec §A)."""

    architecture: Literal["deformable_detr"]
    embed_dims: Positive
    heads: Positive
    ffn_dims: Positive
    dropout: Fraction
    refine: Annotated[bool, Field(description="each decoder layer refines the boxes of the one before")]
    two_stage: Annotated[bool, Field(description="the encoder proposes the boxes that the queries start from")]
    activation_checkpointing: Annotated[
        bool, Field(description="encoder and decoder layers compute twice and remember less")
    ]
    backbone: Backbone
    neck: Neck
    encoder: Encoder
    decoder: Decoder

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if self.embed_dims % self.heads:
            raise ValueError(f"embed_dims ({self.embed_dims}) must be a multiple of heads ({self.heads})")
        if self.embed_dims % 4:
            raise ValueError(f"embed_dims ({self.embed_dims}) must be a multiple of 4: sine and cosine of x and y")
        if self.neck.out_channels != self.embed_dims:
            raise ValueError(f"neck.out_channels ({self.neck.out_channels}) must equal embed_dims ({self.embed_dims})")
        if self.embed_dims % self.neck.norm_groups:
            raise ValueError(
                f"embed_dims ({self.embed_dims}) must be a multiple of neck.norm_groups ({self.neck.norm_groups})"
            )
        if self.neck.num_outs < len(self.backbone.out_stages):
            raise ValueError(
                f"neck.num_outs ({self.neck.num_outs}) must cover backbone.out_stages {list(self.backbone.out_stages)}"
            )
        if self.two_stage and not self.refine:
            raise ValueError("two_stage = true needs refine = true: proposals are boxes, which only refinement moves")
        return self


class DetrMatcher(Closed):
    """Hungarian assignment costs (spec §G)."""

    class_weight: float
    box_weight: float
    giou_weight: float
    alpha: Fraction
    gamma: float


class DetrLosses(Closed):
    """Focal classification, L1 and GIoU box losses (spec §G)."""

    class_weight: float
    box_weight: float
    giou_weight: float
    alpha: Fraction
    gamma: float


class DetrCoder(Closed):
    """From predictions to boxes (spec §H, §J.1)."""

    max_boxes: Positive
    clip: Annotated[bool, Field(description="clip boxes to the image: mmdet does, the original does not")]


class DetrOptimizer(Closed):
    """AdamW; parameters whose name holds a word of `slow` learn at lr × slow_lr_factor (spec §A)."""

    lr: PositiveReal
    slow: tuple[str, ...]
    slow_lr_factor: PositiveReal
    weight_decay: Annotated[float, Field(ge=0)]
    betas: tuple[float, float]
    eps: PositiveReal
    clip_norm: PositiveReal


class StepSchedule(Closed):
    """The learning rate times `factor` at each milestone, in epochs; no warm-up (spec §A)."""

    epochs: Positive
    milestones: tuple[Positive, ...]
    factor: Fraction


class CocoEvaluation(Closed):
    """COCO's average precision over boxes (spec §H)."""

    protocol: Literal["coco_bbox"]
    workers: NonNegative


class CocoExpected(Closed):
    """The published number, where it stands, and how far from it still counts as reproduced."""

    box_ap: Fraction | None = None
    tolerance: PositiveReal
    split: Literal["val2017"]
    source: str

    @property
    def published(self) -> dict[str, float | None]:
        """The published figure by the name that the evaluator gives it; None where nothing was published."""
        return {"box AP": self.box_ap}


class CocoSmoke(Closed):
    """How far `--smoke` shortens each stage; every figure it changes is named in the report."""

    train_iterations: Positive
    eval_images: Positive
    workers: NonNegative


class DetrRecipe(Closed):
    """One experiment with Deformable DETR on COCO, whole."""

    schema_version: Literal[1]
    name: Name
    title: str
    data: CocoData
    images: CocoImages
    augment: CocoAugment
    model: DetrModel
    matcher: DetrMatcher
    losses: DetrLosses
    coder: DetrCoder
    optimizer: DetrOptimizer
    schedule: StepSchedule
    train: Train
    eval: CocoEvaluation
    expected: CocoExpected
    smoke: CocoSmoke
