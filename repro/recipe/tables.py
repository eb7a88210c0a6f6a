"""What recipes of both models are made of: the closed table, its numbers, and the ResNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from typing_extensions import Self

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
PositiveReal = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Triple = tuple[float, float, float]


class Closed(BaseModel):
    """A frozen table that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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
