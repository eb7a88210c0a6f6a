"""BEVFormer at sizes that answer in milliseconds, and frames for it; tests only."""

from __future__ import annotations

import torch

from repro.models.bevformer import BEVFormer
from repro.recipe import Model, Quirks, load_recipe
from repro.tensors import Frame

ROWS, COLUMNS, CHANNELS, CAMERAS, CLASSES = 6, 5, 32, 2, 10
IMAGE = (64, 96)
FIXED = Quirks(rotate_center="middle", temporal_rows="fixed", camera_hits="each_item", history_exists="each_item")
UPSTREAM = Quirks(rotate_center=(2.5, 3.0))


def settings(quirks: Quirks = FIXED, *, dropout: float = 0.0) -> Model:
    nano = load_recipe("bevformer_nano").model
    return nano.model_copy(
        update={
            "embed_dims": CHANNELS,
            "heads": 4,
            "ffn_dims": 64,
            "dropout": dropout,
            "use_history": True,
            "neck": nano.neck.model_copy(update={"out_channels": CHANNELS}),
            "bev": nano.bev.model_copy(update={"rows": ROWS, "columns": COLUMNS}),
            "encoder": nano.encoder.model_copy(update={"layers": 2}),
            "decoder": nano.decoder.model_copy(update={"layers": 2, "queries": 12}),
            "quirks": quirks,
        }
    )


def model(quirks: Quirks = FIXED, *, dropout: float = 0.0) -> BEVFormer:
    """Return a model whose attention looks somewhere: the initial offsets alone would leave many paths unused."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = BEVFormer(settings(quirks, dropout=dropout), cameras=CAMERAS, classes=CLASSES)
        with torch.no_grad():
            for name, parameter in built.named_parameters():
                if "sampling_offsets.weight" in name or "attention_weights.weight" in name:
                    parameter.normal_(std=0.1)
    return built.eval()


def frame(seed: int, *, items: int = 1, history: bool = True) -> Frame:
    """Return `items` vehicles with a camera ahead and one behind, each turned a little differently."""
    generator = torch.Generator().manual_seed(seed)
    can_bus = torch.randn(items, 18, generator=generator, dtype=torch.float64)
    can_bus[:, 17] *= 5.0
    if not history:
        can_bus[:, :3] = 0
        can_bus[:, 17] = 0
    return Frame(
        images=torch.randn(items, CAMERAS, 3, *IMAGE, generator=generator),
        img_from_lidar=torch.stack([cameras(0.9 * seed + 0.4 * item) for item in range(items)]),
        can_bus=can_bus,
        has_history=torch.full((items,), history),
        tokens=tuple(f"{seed}-{item}" for item in range(items)),
    )


def cameras(yaw: float) -> torch.Tensor:
    """Return [2, 4, 4]: pinhole cameras at the origin, one looking along +y turned by `yaw` radians, one back."""
    height, width = IMAGE
    intrinsics = torch.tensor([[60.0, 0, width / 2, 0], [0, 60.0, height / 2, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    both = []
    for turned in (torch.tensor(yaw), torch.tensor(yaw + torch.pi)):
        c, s = turned.cos().item(), turned.sin().item()
        # camera x right, y down, z forward, from LiDAR x right, y forward, z up
        cam_from_lidar = torch.tensor([[c, s, 0, 0], [0, 0, -1, 0], [-s, c, 0, 0], [0, 0, 0, 1]])
        both.append((intrinsics @ cam_from_lidar).double())
    return torch.stack(both)


def beside(first: Frame, second: Frame) -> Frame:
    """Return one frame of both frames' items."""
    return Frame(
        images=torch.cat([first.images, second.images]),
        img_from_lidar=torch.cat([first.img_from_lidar, second.img_from_lidar]),
        can_bus=torch.cat([first.can_bus, second.can_bus]),
        has_history=torch.cat([first.has_history, second.has_history]),
        tokens=first.tokens + second.tokens,
    )
