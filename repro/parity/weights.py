"""The deterministic weights of the golden sets, from the rule in ../shared/golden/golden_weights.py's docstring."""

from __future__ import annotations

import math
import re
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# (pattern of the end of a name, standard deviation of the draw): the first that fits counts
DRAWS: tuple[tuple[str, float], ...] = (
    (r"sampling_offsets\.bias", 2.0),
    (r"sampling_offsets\.weight", 0.015),
    (r"conv_offset\.bias", 0.7),
    (r"query_embedding\.weight", 1.0),
    (r"(embedding\.weight|_embed\.weight|_embeds)", 0.5),
)
# the same for matrices and convolutions, in units of 1/√fan_in
GAINS: tuple[tuple[str, float], ...] = (
    (r"conv_offset\.weight", 0.1),
    (r"backbone\.conv1\.weight", 0.2),
    (r"backbone.*\.conv3\.weight", 0.5),
    (r"backbone.*\.downsample\.0\.weight", 1.0),
    (r"backbone.*", math.sqrt(2)),
    (r"reference_points\.weight", 1.2),
    (r"reg_branches\.\d+\.4\.weight", 0.6),
    (r"reg_branches\..*", math.sqrt(2)),
    (r"cls_branches\.\d+(\.6)?\.weight", 3.0),
    (r"\.attn\.out_proj\.weight", 0.5),
    (r"deformable_attention\.value_proj\.weight", 0.4),
    (r"", 1.0),
)


def golden_weight(name: str, shape: Sequence[int], seed: str) -> NDArray[np.float32] | None:
    """Return the weight of an upstream state-dict key, None where the module keeps its own value."""
    leaf = name.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.float32)
    if leaf == "code_weights":
        return None
    third = "#3" if name.endswith("transformer.enc_output.weight") else ""
    draw = np.random.RandomState(zlib.crc32(f"{seed}:{name}{third}".encode())).standard_normal(tuple(shape))
    return np.asarray(_scaled(name, leaf, draw), np.float64).astype(np.float32)


def _scaled(name: str, leaf: str, draw: NDArray[np.float64]) -> NDArray[np.float64]:
    if leaf == "running_mean":
        return 0.1 * draw
    if leaf == "running_var":
        return 1 + 0.1 * np.abs(draw)
    if name.endswith("transformer.enc_output.bias"):
        return 0.0 * draw
    for pattern, scale in DRAWS:
        if re.search(f"{pattern}$", name):
            return scale * draw
    if draw.ndim == 1 and not name.endswith("conv_offset.weight"):
        return 1 + 0.1 * draw if leaf == "weight" else 0.1 * draw
    fan_in = int(np.prod(draw.shape[1:]))
    gain = next(gain for pattern, gain in GAINS if re.search(f"{pattern}$", name))
    scaled: NDArray[np.float64] = draw * (gain / fan_in**0.5)
    return scaled
