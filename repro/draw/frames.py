"""The key frames of a BEVFormer run, chosen by scene, as views that can be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from repro.draw.opened import CACHE, OpenRun, nuscenes_entries
from repro.prepare import open_index
from repro.recipe import Recipe
from repro.rundir import RunDirError
from repro.visualise.cuboids import cuboids_of_results
from repro.visualise.frame import FrameView
from repro.visualise.records import camera_views, points_of, truth_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from repro.data import FrameRecord, Subset


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Key frames of one scene: positions in the split, in time order, and which of them are drawn."""

    scene: str
    positions: tuple[int, ...]
    drawn: tuple[int, ...]  # places in `positions`


def frames_of(run: OpenRun) -> Subset:
    """Return the split that the run was evaluated on. Raises DataError when it is gone."""
    assert isinstance(run.recipe, Recipe), "frames belong to BEVFormer"
    index = open_index(Path(run.data.dataroot), run.data.version, run.recipe, CACHE)
    return index.split(run.data.eval_split)


def choose(run: OpenRun, samples: Subset, scene: str, frame: int | None, most: int | None) -> list[Chosen]:
    """Return the frames that `scene` (a number from 0, a name, or "all"), `frame` and `most` ask for.

    Only evaluated frames can be drawn: a smoke run has the first few. Raises RunDirError naming what there is.
    """
    of_token: dict[str, list[int]] = {}
    for position, token in enumerate(samples.scenes[: run.metrics.samples]):
        of_token.setdefault(token, []).append(position)
    by_scene = {samples[positions[0]].scene_name: positions for positions in of_token.values()}
    names = list(by_scene)
    if scene == "all":
        wanted = names
    elif scene.isdecimal() and int(scene) < len(names):
        wanted = [names[int(scene)]]
    elif scene in by_scene:
        wanted = [scene]
    else:
        raise RunDirError(f"--scene {scene}: the run evaluated {_listed(names)}; type a name, a number from 0, or all")
    chosen = [_chosen(name, by_scene[name], frame) for name in wanted]
    return _at_most(chosen, most)


def _chosen(name: str, positions: Sequence[int], frame: int | None) -> Chosen:
    if frame is not None and not 0 <= frame < len(positions):
        raise RunDirError(f"--frame {frame}: {name} has the evaluated key frames 0 to {len(positions) - 1}")
    drawn = range(len(positions)) if frame is None else (frame,)
    return Chosen(scene=name, positions=tuple(positions), drawn=tuple(drawn))


def _at_most(chosen: Sequence[Chosen], most: int | None) -> list[Chosen]:
    left, kept = most, list[Chosen]()
    for scene in chosen:
        if left is not None:
            scene = Chosen(scene=scene.scene, positions=scene.positions, drawn=scene.drawn[:left])  # noqa: PLW2901
            left -= len(scene.drawn)
        if scene.drawn:
            kept.append(scene)
    return kept


def _listed(names: Sequence[str], shown: int = 8) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def views(run: OpenRun, samples: Subset, chosen: Chosen, threshold: float) -> Iterator[tuple[FrameRecord, FrameView]]:
    """Yield the drawn frames of a scene, one after the other. Raises DataError, RunDirError."""
    assert isinstance(run.recipe, Recipe), "frames belong to BEVFormer"
    recipe, dataroot = run.recipe, Path(run.data.dataroot)
    tokens = samples.tokens
    entries = nuscenes_entries(run.results, [tokens[chosen.positions[place]] for place in chosen.drawn])
    for place in chosen.drawn:
        record = samples[chosen.positions[place]]
        yield (
            record,
            FrameView(
                title=_title(run, record, place, len(chosen.positions)),
                cameras=camera_views(record, dataroot, recipe.images.raw_size),
                truth=truth_of(record, recipe.data.classes),
                predictions=cuboids_of_results(entries[record.token], record),
                threshold=threshold,
                bev_range=recipe.model.bev.range,
                points=points_of(record, dataroot),
            ),
        )


def _title(run: OpenRun, record: FrameRecord, place: int, count: int) -> str:
    kind = " (synthetic)" if run.data.synthetic else ""
    return f"{run.recipe.name} · {record.scene_name}{kind} · key frame {place} of 0–{count - 1} · {record.token}"
