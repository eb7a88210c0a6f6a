"""What a recipe may say: the closed schema. Reading files and wording errors is `load.py`'s business.

No field has a hidden default that changes a result: a recipe file states every number of spec §A itself.
Only `Quirks` and [images] pipeline have defaults, because "what the authors' HEAD does" is their meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from repro.recipe.bevformer import Model
from repro.recipe.tables import Closed, Fraction, Name, NonNegative, Positive, PositiveReal, Triple

if TYPE_CHECKING:
    from typing_extensions import Self

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
    pipeline: Annotated[
        Literal["strict", "fast"],
        Field(
            description="how training images are made: upstream's bits, or small uint8 images (evaluation is strict)"
        ),
    ] = "strict"

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

    @property
    def published(self) -> dict[str, float | None]:
        """The published figures by the names that evaluators give them; None where nothing was published."""
        return {"NDS": self.nds, "mAP": self.map}


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
