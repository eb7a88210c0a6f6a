"""Frames shared between processes: with whole scenes the result file is the same for any number of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from repro.data import Subset, open_nuscenes
from repro.evaluate.formatting import EvaluationError, write_results
from repro.evaluate.predict import predict, read_partial
from repro.evaluate.stage import gathered, share_of
from repro.models.bevformer import build_bevformer
from repro.recipe import Recipe, load_recipe
from repro.recipe.schema import CAMERAS
from repro.stop import Interrupted
from tests.data.small_nuscenes import COLUMNS, ROWS, VERSION

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def samples(small_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Subset:
    """Return the six frames of two scenes: four, then two."""
    index = open_nuscenes(small_root, VERSION, tmp_path_factory.mktemp("cache"), channels=CAMERAS)
    return Subset(index, range(6))


def recipe(split: str) -> Recipe:
    """Return nano with a history, for the small pictures."""
    nano = load_recipe("bevformer_nano")
    return nano.model_copy(
        update={
            "model": nano.model.model_copy(update={"use_history": True}),
            "images": nano.images.model_copy(update={"raw_size": (ROWS, COLUMNS), "scale": 0.5}),
            "eval": nano.eval.model_copy(update={"split": split}),
        }
    )


def result_file(small_root: Path, samples: Subset, folder: Path, split: str, world: int) -> bytes:
    """Evaluate as `world` processes would, one after the other, and return the bytes of the result file."""
    settings = recipe(split)
    torch.manual_seed(0)
    model = build_bevformer(settings)
    shares = [share_of(samples.scenes, settings, world=world, rank=rank) for rank in range(world)]
    partials = [folder / f"{split}-{rank}of{world}.jsonl" for rank in range(world)]
    for share, partial in zip(shares, partials, strict=True):
        predict(
            model, samples, settings, small_root, order=share, device="cpu", workers=0, partial=partial, shown=False
        )
    wanted = [samples.tokens[i] for share in shares for i in share]
    write_results(folder / "results.json", gathered(wanted, partials, samples.tokens))
    return (folder / "results.json").read_bytes()


def test_whole_scenes_give_the_same_file_for_any_number_of_processes(
    small_root: Path, samples: Subset, tmp_path: Path
) -> None:
    files = [result_file(small_root, samples, tmp_path, "scene", world) for world in (1, 2, 3)]
    assert files[0] == files[1] == files[2]
    assert all(token.encode() in files[0] for token in samples.tokens)


def test_upstreams_chunks_cut_a_scene_and_its_history(small_root: Path, samples: Subset, tmp_path: Path) -> None:
    alone, apart = (result_file(small_root, samples, tmp_path, "upstream", world) for world in (1, 2))
    assert alone == result_file(small_root, samples, tmp_path, "scene", 1)
    first, second = (read_partial(tmp_path / f"upstream-{rank}of2.jsonl") for rank in range(2))
    whole = read_partial(tmp_path / "upstream-0of1.jsonl")
    assert list(first) + list(second) == samples.tokens
    assert all(first[token] == whole[token] for token in samples.tokens[:3])
    assert second[samples.tokens[3]] != whole[samples.tokens[3]]  # the fourth frame starts without a history
    assert second[samples.tokens[4]] == whole[samples.tokens[4]]  # the second scene does anyway
    assert alone != apart


def test_frames_that_no_process_left_are_a_folder_that_is_not_shared(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"2 of 2 frames were left there by no process \(the first is a\); all"):
        gathered(["a", "b"], [tmp_path / "none.jsonl"], ["a", "b"])


def test_asked_to_stop_it_goes_on_at_the_last_scene_border(small_root: Path, samples: Subset, tmp_path: Path) -> None:
    settings = recipe("scene")
    torch.manual_seed(0)
    model, partial, asked = build_bevformer(settings), tmp_path / "partial.jsonl", iter([False] * 5 + [True])
    order = list(range(6))

    def go_on(*, stop: bool) -> dict[str, object]:
        return dict(
            predict(
                model,
                samples,
                settings,
                small_root,
                order=order,
                device="cpu",
                workers=0,
                partial=partial,
                shown=False,
                asked_to_stop=lambda: stop and next(asked),
            )
        )

    with pytest.raises(Interrupted, match="evaluation stopped after 5 of 6 frames"):
        go_on(stop=True)
    assert len(read_partial(partial)) == 5
    whole = go_on(stop=False)
    again = tmp_path / "fresh.jsonl"
    partial = again
    assert go_on(stop=False) == whole
