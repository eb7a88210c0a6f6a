"""The doors that take raw offsets and logits, against twins that compute the same another way, in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from repro.ops import ms_deform_attn, ms_deform_attn_from_offsets, spatial_cross_attn
from repro.ops.reference import (
    ms_deform_attn_from_offsets_reference,
    spatial_cross_attention_padded_reference,
    spatial_cross_attention_reference,
    temporal_self_attention_reference,
)

LEVELS = ((3, 5), (2, 1), (4, 4))
TOKENS = 33
N, B, Q, M, E, L, P, D = 3, 2, 7, 2, 4, 3, 4, 2
Inputs = dict[str, Tensor]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def fractions(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=generator(seed)) * 1.2 - 0.1  # some outside


def plain(columns: int = 2) -> Inputs:
    return {
        "value": random(B, TOKENS, M, E, seed=1),
        "references": fractions(B, Q, L, columns, seed=2),
        "offsets": 2 * random(B, Q, M, L, P, 2, seed=3),
        "logits": random(B, Q, M, L * P, seed=4),
    }


def cameras(items: int = B) -> Inputs:
    """Three cameras: queries 0 and 1 are seen by none, query 2 by all, the rest by chance; items see differently."""
    visible = torch.rand(N, items, Q, D, generator=generator(5)) < 0.3
    visible[:, :, :2] = False
    visible[:, :, 2] = True
    return {
        "value": random(N, items, TOKENS, M, E, seed=6),
        "references": fractions(N, items, Q, D, 2, seed=7),
        "visible": visible,
        "offsets": 2 * random(items, Q, M, L, P, 2, seed=8),
        "logits": random(items, Q, M, L * P, seed=9),
    }


def from_offsets(given: Inputs) -> Tensor:
    return ms_deform_attn_from_offsets(given["value"], LEVELS, given["references"], given["offsets"], given["logits"])


def look(given: Inputs) -> Tensor:
    return spatial_cross_attn(
        given["value"], LEVELS, given["references"], given["visible"], given["offsets"], given["logits"]
    )


def look_padded(given: Inputs) -> Tensor:
    return spatial_cross_attention_padded_reference(
        given["value"], LEVELS, given["references"], given["visible"], given["offsets"], given["logits"]
    )


def written_out(given: Inputs) -> Tensor:
    """Spatial cross-attention one query and camera at a time, through the plain operator."""
    items = given["offsets"].shape[0]
    out = torch.zeros(items, Q, M * E, dtype=torch.float64)
    for b, q in itertools.product(range(items), range(Q)):
        seen_by = [n for n in range(N) if given["visible"][n, b, q].any()]
        weights = given["logits"][b, q].softmax(-1).view(1, 1, M, L, P)
        for n in seen_by:
            locations = torch.empty(1, 1, M, L, P, 2, dtype=torch.float64)
            for (level, (height, width)), p in itertools.product(enumerate(LEVELS), range(P)):
                pixel = given["offsets"][b, q, :, level, p] / torch.tensor([width, height])
                locations[0, 0, :, level, p] = given["references"][n, b, q, p % D] + pixel
            out[b, q] += ms_deform_attn(given["value"][n, b : b + 1], LEVELS, locations, weights)[0, 0] / len(seen_by)
    return out


def gradients(output: Tensor, given: Inputs) -> dict[str, Tensor]:
    noise = random(*output.shape, seed=10)
    wanted = {name: tensor for name, tensor in given.items() if tensor.requires_grad}
    return dict(zip(wanted, torch.autograd.grad((output * noise).sum(), list(wanted.values())), strict=True))


def trainable(given: Inputs) -> Inputs:
    return {name: t.requires_grad_() if t.is_floating_point() else t for name, t in given.items()}


def test_points_are_offsets_in_pixels_from_the_reference_and_weights_are_one_softmax() -> None:
    given = plain()
    sizes = torch.tensor([(w, h) for h, w in LEVELS])[:, None]  # [L, 1, 2]
    locations = given["references"][:, :, None, :, None] + given["offsets"] / sizes
    weights = given["logits"].softmax(-1).view(B, Q, M, L, P)
    torch.testing.assert_close(from_offsets(given), ms_deform_attn(given["value"], LEVELS, locations, weights))


def test_a_box_scales_the_offsets_by_half_its_size_over_the_points() -> None:
    given = plain(columns=4)
    centre, size = given["references"][:, :, None, :, None].chunk(2, dim=-1)
    locations = centre + given["offsets"] / P * size / 2
    weights = given["logits"].softmax(-1).view(B, Q, M, L, P)
    torch.testing.assert_close(from_offsets(given), ms_deform_attn(given["value"], LEVELS, locations, weights))


@pytest.mark.parametrize("columns", [2, 4])
def test_gradients_from_offsets_are_the_differences_of_the_values(columns: int) -> None:
    given = trainable(plain(columns))
    names = ("value", "references", "offsets", "logits")
    assert torch.autograd.gradcheck(
        lambda *tensors: from_offsets(dict(zip(names, tensors, strict=True))), tuple(given[name] for name in names)
    )


@pytest.mark.parametrize("items", [1, 2])
def test_queries_see_what_the_loop_over_queries_and_cameras_sees(items: int) -> None:
    given = cameras(items)
    torch.testing.assert_close(look(given), written_out(given))


def test_rows_padded_to_the_busiest_camera_change_nothing() -> None:
    given = cameras()
    torch.testing.assert_close(look(given), look_padded(given))


def test_padding_changes_no_gradient() -> None:
    ours, theirs = trainable(cameras()), trainable(cameras())
    expected = gradients(look_padded(theirs), theirs)
    for name, gradient in gradients(look(ours), ours).items():
        torch.testing.assert_close(gradient, expected[name])


def test_gradients_of_looking_around_are_the_differences_of_the_values() -> None:
    given = trainable(cameras(1))
    names = ("value", "references", "offsets", "logits")
    assert torch.autograd.gradcheck(
        lambda *tensors: look(given | dict(zip(names, tensors, strict=True))), tuple(given[name] for name in names)
    )


def test_a_query_that_no_camera_sees_gets_zero_and_gives_no_gradient() -> None:
    given = trainable(cameras())
    out = look(given)
    assert not out[:, :2].any()
    assert out[:, 2:].detach().abs().sum() > 0
    moved = gradients(out, given)
    assert not moved["offsets"][:, :2].any()
    assert not moved["logits"][:, :2].any()


def test_a_camera_that_sees_one_anchor_looks_at_all_of_them() -> None:
    one, every = cameras(), cameras()
    one["visible"] = torch.zeros_like(one["visible"])
    one["visible"][1, :, 3, 0] = True
    every["visible"] = one["visible"].any(-1, keepdim=True).expand_as(one["visible"])
    torch.testing.assert_close(look(one), look(every))


def test_each_item_looks_where_it_is_visible_itself() -> None:
    given = cameras()
    alone = [look({name: t[:, b : b + 1] if t.shape[0] == N else t[b : b + 1] for name, t in given.items()})
             for b in range(B)]  # fmt: skip
    torch.testing.assert_close(look(given), torch.cat(alone))


def test_nobody_sees_anything_is_fine() -> None:
    given = cameras()
    given["visible"] = torch.zeros_like(given["visible"])
    assert not look(given).any()
    assert not look_padded(given).any()


def test_one_softmax_of_halves_normalised_before_is_the_mean_of_history_and_present() -> None:
    size, rows = (3, 4), 2 * B
    value, references = random(rows, 12, M, E, seed=11), fractions(rows, Q, 2, seed=12)
    offsets, logits = random(B, Q, M, 2, P, 2, seed=13), random(B, Q, M, 2, P, seed=14)
    together = ms_deform_attn_from_offsets(
        value.view(B, 24, M, E),
        [size, size],
        references.view(B, 2, Q, 2).transpose(1, 2),
        offsets,
        logits.log_softmax(-1).flatten(-2),
    )
    torch.testing.assert_close(together, temporal_self_attention_reference(value, size, references, offsets, logits))


@pytest.mark.parametrize(("batch", "queries"), [(2, 0), (0, 3), (1, 1)])
def test_no_query_and_no_item_are_fine(batch: int, queries: int) -> None:
    flat = {name: t[:batch] if name == "value" else t[:batch, :queries] for name, t in plain().items()}
    assert from_offsets(flat).shape == (batch, queries, M * E)
    many = cameras()
    many = {name: t[:, :batch] if name in {"value", "references", "visible"} else t[:batch] for name, t in many.items()}
    many |= {name: many[name][:, :, :queries] for name in ("references", "visible")}
    many |= {name: many[name][:, :queries] for name in ("offsets", "logits")}
    assert look(many).shape == (batch, queries, M * E)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bit_values_are_summed_in_thirty_two(dtype: torch.dtype) -> None:
    for given, attend in ((plain(), from_offsets), (cameras(), look)):
        narrow = {name: t.to(dtype) if t.is_floating_point() else t for name, t in given.items()}
        narrow["references"] = given["references"].float()
        wide = {name: t.double() if t.is_floating_point() else t for name, t in narrow.items()}
        exact = attend(wide)
        assert attend(narrow).dtype == dtype
        error = (attend(narrow).double() - exact).norm() / exact.norm()
        assert error <= 2 * (exact.to(dtype).double() - exact).norm() / exact.norm()


def test_the_twins_of_from_offsets_and_of_one_camera_agree() -> None:
    given = plain()
    at = given["references"][:, :, :1]  # [B, Q, 1, 2]: every level around the same point
    everywhere = at.expand(-1, -1, L, -1)
    one = ms_deform_attn_from_offsets_reference(given["value"], LEVELS, everywhere, given["offsets"], given["logits"])
    seen = torch.ones(1, B, Q, 1, dtype=torch.bool)
    other = spatial_cross_attention_reference(
        given["value"][None], LEVELS, at[None], seen, given["offsets"], given["logits"]
    )
    torch.testing.assert_close(one, other)
