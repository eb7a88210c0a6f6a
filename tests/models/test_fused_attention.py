"""The attention modules on the fused doors, against the same module written the long way round, in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from repro.models.attention import DeformableAttention
from repro.models.bevformer.spatial import SpatialCrossAttention
from repro.models.bevformer.temporal import TemporalSelfAttention, interleave
from repro.ops import ms_deform_attn
from repro.ops.reference import temporal_self_attention_reference

C, M = 8, 2
B, Q = 2, 12
SIZE = (3, 4)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def stirred(module: nn.Module) -> nn.Module:
    """Give offsets and weights something to say: they start with zero weights."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


@pytest.mark.parametrize("rows", ["upstream", "fixed"])
def test_temporal_attention_is_the_mean_of_two_calls(rows: str) -> None:
    module = stirred(TemporalSelfAttention(channels=C, heads=M, points=4, rows=rows))
    assert isinstance(module, TemporalSelfAttention)
    query, position, history = random(B, Q, C), random(B, Q, C), random(B, Q, C)
    pairs, references = interleave(history, query), torch.rand(2 * B, Q, 2, dtype=torch.float64)
    beside = pairs[:B] if rows == "upstream" else history
    both = torch.cat([beside, query + position], -1)
    twin = module.output_proj(
        temporal_self_attention_reference(
            module.value_proj(pairs).view(2 * B, Q, M, C // M),
            SIZE,
            references,
            module.sampling_offsets(both).view(B, Q, M, 2, 4, 2),
            module.attention_weights(both).view(B, Q, M, 2, 4),
        )
    )
    torch.testing.assert_close(module(query, position, pairs, references, SIZE), twin)


@pytest.mark.parametrize("columns", [2, 4])
def test_padding_hides_what_is_there_and_boxes_scale_the_offsets(columns: int) -> None:
    module = stirred(DeformableAttention(channels=C, heads=M, levels=1, points=4))
    query, value = random(B, 5, C), random(B, Q, C)
    references = torch.rand(B, 5, 1, columns, dtype=torch.float64)
    padding = torch.zeros(B, Q, dtype=torch.bool)
    padding[:, 4:] = True
    elsewhere = value.clone()
    elsewhere[:, 4:] = 7.0
    seen = module(query, value, references, [SIZE], padding)
    torch.testing.assert_close(module(query, elsewhere, references, [SIZE], padding), seen)
    assert not torch.allclose(module(query, elsewhere, references, [SIZE]), seen)


@pytest.mark.parametrize("hits", ["first_item", "each_item"])
def test_whose_visibility_selects_and_whose_counts(hits: str) -> None:
    """Under the quirk every item looks where item 0 is seen, and divides by its own number of cameras all the same."""
    cameras, points, levels = 3, 4, ((2, 3), (3, 3))
    module = stirred(SpatialCrossAttention(channels=C, heads=M, levels=2, points=points, hits=hits))
    assert isinstance(module, SpatialCrossAttention)
    query, value = random(B, Q, C), random(cameras, B, 15, C)
    references = torch.rand(cameras, B, Q, 2, 2, dtype=torch.float64)
    visible = torch.rand(cameras, B, Q, 2) < 0.4
    slots = torch.zeros(B, Q, C, dtype=torch.float64)
    pillars = module.pillars
    for n, b, q in itertools.product(range(cameras), range(B), range(Q)):
        selected = visible[n, 0 if hits == "first_item" else b, q].any()
        if not selected:
            continue
        one = query[b : b + 1, q : q + 1]
        offsets = pillars.sampling_offsets(one).view(1, 1, M, 2, points // 2, 2, 2)
        sizes = torch.tensor([(w, h) for h, w in levels])[:, None, None]
        locations = (references[n, b, q] + offsets / sizes).flatten(4, 5)
        weights = pillars.attention_weights(one).view(1, 1, M, -1).softmax(-1).view(1, 1, M, 2, points)
        values = pillars.value_proj(value[n, b : b + 1]).view(1, 15, M, C // M)
        slots[b, q] += ms_deform_attn(values, levels, locations, weights)[0, 0]
    own = visible.any(-1).sum(0).clamp(min=1)[..., None]
    twin = module.output_proj(slots / own)
    torch.testing.assert_close(module(query, value, references, visible, levels), twin)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_reaches_the_operator_with_wide_coordinates(dtype: torch.dtype) -> None:
    module = TemporalSelfAttention(channels=C, heads=M, points=4, rows="fixed")
    query = torch.randn(1, Q, C)
    references = torch.rand(2, Q, 2)
    exact = module(query, query, None, references, SIZE)
    with torch.autocast("cpu", dtype=dtype):
        seen = module(query, query, None, references, SIZE)
    torch.testing.assert_close(seen.float(), exact, rtol=0.05, atol=0.05)
