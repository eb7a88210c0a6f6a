"""What the Deformable DETR cases compare with: queries put in the golden order, gradients that must fail on a sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from repro.parity.detr_case import in_golden_order
from repro.parity.detr_images import train_batch, train_truth, whole_image
from repro.parity.golden import Arrays, GoldenError, GoldenSet
from repro.parity.gradients import gradient_norms, train_without_dropout
from repro.recipe import load_detr_recipe
from repro.tensors import ImagePrediction, Proposals

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = load_detr_recipe("deformable_detr")


def prediction(*chosen: int) -> ImagePrediction:
    """Return a prediction whose queries are numbered by the tokens that they come from."""
    tokens = torch.tensor([chosen])
    marked = tokens.float()[None, ..., None].expand(2, 1, len(chosen), 4)
    proposals = Proposals(class_logits=torch.zeros(1, 9, 3), boxes=torch.zeros(1, 9, 4), chosen=tokens)
    return ImagePrediction(class_logits=marked, boxes=marked, references=(marked[0], marked[1]), proposals=proposals)


def test_queries_are_put_in_the_order_of_their_golden_tokens() -> None:
    ordered = in_golden_order(prediction(4, 2, 7), torch.tensor([[2, 7, 4]]))
    assert ordered.boxes[1, 0, :, 0].tolist() == [2, 7, 4]
    assert ordered.references[1][0, :, 3].tolist() == [2, 7, 4]
    assert ordered.proposals is not None
    assert ordered.proposals.chosen.tolist() == [[2, 7, 4]]


def test_a_query_that_the_golden_prediction_lacks_takes_the_place_that_is_left() -> None:
    ordered = in_golden_order(prediction(4, 2, 7), torch.tensor([[7, 5, 4]]))
    assert ordered.boxes[0, 0, :, 0].tolist() == [7, 2, 4]


def with_gradient(scale: float) -> dict[str, nn.Parameter]:
    parameter = nn.Parameter(torch.zeros(100))
    parameter.grad = torch.full((100,), scale)
    return {"weight": parameter}


@pytest.fixture
def golden(tmp_path: Path) -> Arrays:
    path = tmp_path / "golden.npz"
    np.savez(path, grad_param_names=np.array(["weight"]), grad_l2=np.array([10.0]), grad_sum=np.array([100.0]))
    return Arrays(path)


def verdicts(ours: dict[str, nn.Parameter], golden: Arrays) -> dict[str, bool]:
    return {check.what: check.ok for check in gradient_norms(ours, golden, "")}


def test_the_same_gradient_passes(golden: Arrays) -> None:
    assert all(verdicts(with_gradient(1.0), golden).values())


def test_a_gradient_of_another_size_fails(golden: Arrays) -> None:
    assert not verdicts(with_gradient(1.01), golden)["gradient norms, ours / golden"]


def test_a_gradient_of_another_sign_fails_by_its_sum(golden: Arrays) -> None:
    turned = verdicts(with_gradient(-1.0), golden)
    assert turned["gradient norms, ours / golden"]
    assert not turned["gradient sums, error per largest sum"]


def test_a_parameter_too_many_fails(golden: Arrays) -> None:
    assert verdicts({**with_gradient(1.0), "bias": nn.Parameter(torch.zeros(1))}, golden) == {
        "parameters with a gradient": False
    }


def test_training_cases_run_without_dropout() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.MultiheadAttention(4, 2, dropout=0.5)).eval()
    train_without_dropout(model)
    assert model.training
    x = torch.ones(3, 1, 4)
    assert torch.equal(model[0](x), x)
    assert torch.equal(model[1](x, x, x)[0], model[1](x, x, x)[0])


@pytest.mark.shared
def test_golden_images_are_made_as_upstream_made_them(shared_dir: Path) -> None:
    golden = GoldenSet(shared_dir / "golden/A")
    arrays, facts = golden.arrays("deformable_detr_plain"), golden.facts("deformable_detr_plain")
    whole, two = whole_image(golden, facts, RECIPE), train_batch(golden, facts, RECIPE)
    assert list(whole.images.shape) == facts["img_shape"]
    assert whole.images.mean((0, 2, 3)).tolist() == pytest.approx(facts["img_mean"], abs=1e-5)
    assert whole.scales[0].tolist() == facts["meta"]["scale_factor"]
    assert two.sizes.tolist() == [[288, 512], [352, 352]]
    assert not two.images[two.padding[:, None].expand_as(two.images)].any()
    truth = train_truth(arrays, two)
    assert all(((item.boxes >= 0) & (item.boxes <= 1)).all() for item in truth)


@pytest.mark.shared
def test_a_golden_set_without_its_image_says_so(shared_dir: Path, tmp_path: Path) -> None:
    facts = GoldenSet(shared_dir / "golden/A").facts("deformable_detr_plain")
    with pytest.raises(GoldenError, match=r"no readable n015-.*\.jpg; restore it"):
        whole_image(GoldenSet(tmp_path), facts, RECIPE)
