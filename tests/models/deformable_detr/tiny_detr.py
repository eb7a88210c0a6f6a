"""Deformable DETR at sizes that answer in milliseconds, and batches for it; tests only."""

from __future__ import annotations

import torch

from repro.models.deformable_detr import DeformableDETR
from repro.recipe import DetrModel, load_detr_recipe
from repro.tensors import ImageBatch, ImageTruth

CHANNELS, CLASSES, QUERIES = 16, 5, 7
VARIANTS = {"plain": (False, False), "refine": (True, False), "two_stage": (True, True)}


def settings(variant: str = "refine", *, checkpointing: bool = False, dropout: float = 0.0) -> DetrModel:
    nano = load_detr_recipe("deformable_detr_nano").model
    refine, two_stage = VARIANTS[variant]
    return nano.model_copy(
        update={
            "embed_dims": CHANNELS,
            "heads": 2,
            "ffn_dims": 24,
            "dropout": dropout,
            "refine": refine,
            "two_stage": two_stage,
            "activation_checkpointing": checkpointing,
            "neck": nano.neck.model_copy(update={"out_channels": CHANNELS, "num_outs": 4, "norm_groups": 4}),
            "encoder": nano.encoder.model_copy(update={"layers": 2}),
            "decoder": nano.decoder.model_copy(update={"layers": 3, "queries": QUERIES}),
        }
    )


def model(variant: str = "refine", *, checkpointing: bool = False, dropout: float = 0.0) -> DeformableDETR:
    """Return a model in which every path is used: fresh offsets and box branches alone would leave many at zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = DeformableDETR(settings(variant, checkpointing=checkpointing, dropout=dropout), classes=CLASSES)
        with torch.no_grad():
            for name, parameter in built.named_parameters():
                if "sampling_offsets.weight" in name or "attention_weights.weight" in name or ".4.weight" in name:
                    parameter.normal_(std=0.3)
    return built.eval()


def batch(*sizes: tuple[int, int], seed: int = 0) -> ImageBatch:
    """Return images of `sizes` (rows, columns), each twice as large in its file, padded to the largest."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (max(lengths) for lengths in zip(*sizes, strict=True))
    images = torch.zeros(len(sizes), 3, rows, columns)
    padding = torch.ones(len(sizes), rows, columns, dtype=torch.bool)
    for item, (h, w) in enumerate(sizes):
        images[item, :, :h, :w] = torch.randn(3, h, w, generator=generator)
        padding[item, :h, :w] = False
    return ImageBatch(
        images=images,
        padding=padding,
        sizes=torch.tensor(sizes),
        original_sizes=torch.tensor(sizes) * 2,
        scales=torch.full((len(sizes), 4), 0.5),
        ids=tuple(range(len(sizes))),
    )


def truth(*labels: int, seed: int = 0) -> ImageTruth:
    """Return a box inside the image for each label."""
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(len(labels), 4, generator=generator) * 0.3 + torch.tensor([0.35, 0.35, 0.1, 0.1])
    return ImageTruth(boxes, torch.tensor(labels, dtype=torch.int64))
