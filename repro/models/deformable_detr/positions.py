"""Where tokens lie in images of different sizes: padding per level, sine encodings, reference points (spec §C, §D)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPERATURE = 10000.0
EPS = 1e-6
OFFSET = -0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The levels of a batch as one row of T tokens: levels one after the other, each row-major.

    features, position  [B, T, C]
    padding             [B, T] bool, True where there is no image
    valid_sizes         [B, L, 2] width and height in tokens of each image in each level
    level_sizes         (rows, columns) of each level, padding included
    """

    features: Tensor
    position: Tensor
    padding: Tensor
    valid_sizes: Tensor
    level_sizes: tuple[tuple[int, int], ...]

    @property
    def valid_ratios(self) -> Tensor:
        """Return [B, L, 2]: which part (x, y) of each level the image fills."""
        return self.valid_sizes / self.valid_sizes.new_tensor([(w, h) for h, w in self.level_sizes])


def tokens_of(levels: Sequence[Tensor], padding: Tensor, level_embeddings: Tensor) -> Tokens:
    """Return the tokens of levels [B, C, h, w]; padding [B, H, W] of the images, level_embeddings [L, C]."""
    masks = [level_padding(padding, level.shape[-2:]) for level in levels]
    channels = levels[0].shape[1]
    positions = [
        (sine_map(mask, channels) + embedding).flatten(1, 2)
        for mask, embedding in zip(masks, level_embeddings, strict=True)
    ]
    return Tokens(
        features=torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1),
        position=torch.cat(positions, 1),
        padding=torch.cat([mask.flatten(1) for mask in masks], 1),
        valid_sizes=torch.stack([valid_size(mask) for mask in masks], 1),
        level_sizes=tuple((level.shape[-2], level.shape[-1]) for level in levels),
    )


def level_padding(padding: Tensor, size: Sequence[int]) -> Tensor:
    """Return the padding [B, H, W] of the images at a level of `size` rows and columns, by nearest neighbour."""
    return interpolate(padding[:, None].float(), size=tuple(size), mode="nearest")[:, 0].bool()


def valid_size(padding: Tensor) -> Tensor:
    """Return [B, 2]: tokens of image in the first row (its width) and the first column (its height) of [B, h, w]."""
    inside = (~padding).float()
    return torch.stack([inside[:, 0].sum(-1), inside[:, :, 0].sum(-1)], -1)


def sine_map(padding: Tensor, channels: int) -> Tensor:
    """Return [B, h, w, C]: sines and cosines of y, then of x, scaled to 0..2π over the image part of [B, h, w]."""
    inside = (~padding).float()
    y, x = inside.cumsum(1), inside.cumsum(2)
    y = (y + OFFSET) / (y[:, -1:] + EPS) * 2 * math.pi
    x = (x + OFFSET) / (x[:, :, -1:] + EPS) * 2 * math.pi
    return torch.cat([sines(y, channels // 2), sines(x, channels // 2)], -1)


def sines(angle: Tensor, channels: int) -> Tensor:
    """Return [..., channels] of angles [...]: sine and cosine in turn, at `channels` / 2 falling frequencies."""
    pairs = torch.arange(channels, dtype=torch.float32, device=angle.device).div(2, rounding_mode="floor")
    waves = angle[..., None] / TEMPERATURE ** (2 * pairs / channels)
    return torch.stack([waves[..., 0::2].sin(), waves[..., 1::2].cos()], -1).flatten(-2)


def token_centres(tokens: Tokens) -> Tensor:
    """Return [B, T, 2]: the centre (x, y) of each token in 0..1 of its image; beyond 1 where there is padding."""
    places = [
        cell_centres(size, tokens.valid_sizes.device)[None] / tokens.valid_sizes[:, None, level]
        for level, size in enumerate(tokens.level_sizes)
    ]
    return torch.cat(places, 1)


def cell_centres(size: tuple[int, int], device: torch.device) -> Tensor:
    """Return the centres (x, y) of the cells of a level as [h·w, 2], in cells."""
    rows, columns = (torch.arange(length, dtype=torch.float32, device=device) + 0.5 for length in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1)


def into_levels(references: Tensor, valid_ratios: Tensor) -> Tensor:
    """Return [B, K, L, 2 or 4]: references [B, K, 2 or 4] of the image as fractions of each padded level."""
    ratios = torch.cat([valid_ratios] * (references.shape[-1] // 2), -1)
    return references[:, :, None] * ratios[:, None]
