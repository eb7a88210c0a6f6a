"""Where tokens lie: padding, sine encodings, reference points and proposals, by hand on small maps."""

from __future__ import annotations

import math

import pytest
import torch

from repro.models.deformable_detr.positions import (
    Tokens,
    into_levels,
    level_padding,
    sine_map,
    sines,
    token_centres,
    tokens_of,
    valid_size,
)
from repro.models.deformable_detr.proposals import anchor_logits, box_sines


def padding(rows: int, columns: int, *, valid: tuple[int, int]) -> torch.Tensor:
    mask = torch.ones(1, rows, columns, dtype=torch.bool)
    mask[:, : valid[0], : valid[1]] = False
    return mask


def tokens(*, valid: tuple[int, int] = (8, 8)) -> Tokens:
    """Return two levels of 4×4 and 2×2 tokens of an 8×8 image, of which `valid` rows and columns are no padding."""
    levels = [torch.zeros(1, 8, 4, 4), torch.zeros(1, 8, 2, 2)]
    return tokens_of(levels, padding(8, 8, valid=valid), torch.zeros(2, 8))


def test_the_padding_of_a_level_is_its_nearest_pixels() -> None:
    mask = level_padding(padding(1, 6, valid=(1, 4)), (1, 3))
    assert mask.tolist() == [[[False, False, True]]]
    assert level_padding(padding(1, 6, valid=(1, 5)), (1, 3)).tolist() == [[[False, False, False]]]


def test_the_valid_size_is_read_off_the_first_row_and_column() -> None:
    mask = padding(4, 6, valid=(3, 5))
    mask[0, 2, 2:] = True  # quirk: what lies further inside does not count
    assert valid_size(mask).tolist() == [[5.0, 3.0]]


def test_an_image_without_padding_fills_its_levels() -> None:
    whole = tokens()
    assert whole.valid_ratios.tolist() == [[[1.0, 1.0], [1.0, 1.0]]]
    assert token_centres(whole)[0, :5].tolist() == [
        [0.125, 0.125],
        [0.375, 0.125],
        [0.625, 0.125],
        [0.875, 0.125],
        [0.125, 0.375],
    ]
    assert token_centres(whole)[0, 16:].tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]


def test_places_are_fractions_of_the_image_and_not_of_the_padded_level() -> None:
    half = tokens(valid=(8, 4))
    assert half.valid_ratios.tolist() == [[[0.5, 1.0], [0.5, 1.0]]]
    first_row = token_centres(half)[0, :4, 0].tolist()
    assert first_row == [0.25, 0.75, 1.25, 1.75]  # beyond 1 lies the padding


def test_a_point_is_placed_in_each_level_by_its_valid_ratio() -> None:
    ratios = torch.tensor([[[0.5, 1.0], [0.25, 0.5]]])
    point, box = torch.tensor([[[0.5, 0.5]]]), torch.tensor([[[0.5, 0.5, 0.2, 0.4]]])
    assert into_levels(point, ratios).tolist() == [[[[0.25, 0.5], [0.125, 0.25]]]]
    torch.testing.assert_close(
        into_levels(box, ratios), torch.tensor([[[[0.25, 0.5, 0.1, 0.4], [0.125, 0.25, 0.05, 0.2]]]])
    )


def test_sines_alternate_with_cosines_at_falling_frequencies() -> None:
    seen = sines(torch.tensor([0.7]), 4)[0].tolist()
    slow = 0.7 / 10000 ** (2 / 4)
    assert seen == pytest.approx([math.sin(0.7), math.cos(0.7), math.sin(slow), math.cos(slow)], abs=1e-6)


def test_the_encoding_of_a_cell_is_its_centre_in_0_to_2_pi_y_before_x() -> None:
    seen = sine_map(torch.zeros(1, 2, 4, dtype=torch.bool), 4)[0]
    y, x = 1.5 / 2 * 2 * math.pi, 2.5 / 4 * 2 * math.pi  # row 1, column 2
    assert seen[1, 2].tolist() == pytest.approx([math.sin(y), math.cos(y), math.sin(x), math.cos(x)], abs=1e-5)


def test_the_encoding_inside_an_image_does_not_see_its_padding() -> None:
    alone = sine_map(padding(3, 4, valid=(3, 4)), 8)
    padded = sine_map(padding(5, 7, valid=(3, 4)), 8)
    torch.testing.assert_close(padded[:, :3, :4], alone)
    assert padded.isfinite().all()


def test_level_embeddings_tell_levels_apart() -> None:
    levels = [torch.zeros(1, 8, 2, 2), torch.zeros(1, 8, 2, 2)]
    embeddings = torch.stack([torch.zeros(8), torch.ones(8)])
    position = tokens_of(levels, padding(8, 8, valid=(8, 8)), embeddings).position
    torch.testing.assert_close(position[:, 4:] - position[:, :4], torch.ones(1, 4, 8))


def test_proposals_double_in_size_from_level_to_level() -> None:
    boxes = anchor_logits(tokens()).sigmoid()[0]
    torch.testing.assert_close(boxes[0], torch.tensor([0.125, 0.125, 0.05, 0.05]))
    torch.testing.assert_close(boxes[16], torch.tensor([0.25, 0.25, 0.1, 0.1]))


def test_tokens_of_the_padding_propose_nothing() -> None:
    half = tokens(valid=(8, 4))
    nothing = anchor_logits(half).isinf()
    assert torch.equal(nothing.all(-1), half.padding)
    assert torch.equal(nothing.any(-1), half.padding)


def test_tokens_on_the_very_border_propose_nothing() -> None:
    wide = tokens_of([torch.zeros(1, 8, 1, 60)], torch.zeros(1, 8, 480, dtype=torch.bool), torch.zeros(1, 8))
    counts = anchor_logits(wide).isfinite().all(-1)[0]
    assert counts.tolist() == [False, *[True] * 58, False]  # centres at 1/120 and 119/120 are nearer than 0.01


def test_a_box_is_encoded_number_by_number() -> None:
    box = torch.tensor([[[0.1, 0.2, 0.3, 0.4]]])
    parts = box_sines(box, 6).view(4, 6)
    for number, part in zip(box.flatten(), parts, strict=True):
        torch.testing.assert_close(part, sines(number * 2 * math.pi, 6))
