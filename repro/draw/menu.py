"""`draw` as typed: which pictures of which run, where they go, and what is said when that cannot be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from repro.data import DataError
from repro.draw.frames import choose, frames_of, views
from repro.draw.images import choose_images, image_views, split_of
from repro.draw.looks import cell_of, layer_of, look_views
from repro.draw.opened import OpenRun, open_run
from repro.evaluate.formatting import EvaluationError
from repro.progress import progress
from repro.recipe import Recipe
from repro.rundir import RunDirError
from repro.visualise.film import FilmError, write_film
from repro.visualise.frame import draw_frame
from repro.visualise.image import draw_image
from repro.visualise.looks import draw_look
from repro.visualise.paper import save_png
from repro.weights import CheckpointError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130
USER_ERRORS = (RunDirError, DataError, CheckpointError, EvaluationError, FilmError)


def draw(words: argparse.Namespace) -> int:
    """Draw what `python -m repro draw` was asked for; return its exit code."""
    try:
        written = _draw(words)
    except USER_ERRORS as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'writing'}: {error.strerror}; choose another folder with --out DIR\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what is drawn stays\n")
        return INTERRUPTED
    for path in written:
        sys.stdout.write(f"{path}\n")
    return OK


def _draw(words: argparse.Namespace) -> list[Path]:
    """Return the files that were written. Raises one of `USER_ERRORS`."""
    if not 0 <= words.threshold <= 1:
        raise RunDirError(f"--threshold {words.threshold:g}: expected a score from 0 to 1")
    if words.most is not None and words.most < 1:
        raise RunDirError(f"--most {words.most}: expected at least one picture")
    run = open_run(words.run)
    folder = words.out or run.path / "drawings"
    return _frames(run, words, folder) if isinstance(run.recipe, Recipe) else _images(run, words, folder)


def _frames(run: OpenRun, words: argparse.Namespace, folder: Path) -> list[Path]:
    assert isinstance(run.recipe, Recipe), "frames belong to BEVFormer"
    samples, looking = frames_of(run), ""
    if words.attention:
        cell, layer = cell_of(words.attention, run.recipe), layer_of(words.layer, run.recipe)
        looking = f"-attention-{cell[0]}-{cell[1]}-layer{layer}"
    written: list[Path] = []
    for chosen in choose(run, samples, words.scene or "0", words.frame, words.most):
        if words.attention:
            figures = (draw_look(view) for _, view in look_views(run, samples, chosen, cell, layer))
        else:
            figures = (draw_frame(view) for _, view in views(run, samples, chosen, words.threshold))
        names = [f"{chosen.scene}-{place:02}{looking}.png" for place in chosen.drawn]
        film = folder / f"{chosen.scene}{looking}.{words.video}" if words.video else None
        written += _save(figures, [folder / name for name in names], film)
    return written


def _images(run: OpenRun, words: argparse.Namespace, folder: Path) -> list[Path]:
    odd = [f"--{name}" for name in ("attention", "video", "frame") if getattr(words, name) not in {"", None}]
    if odd:
        raise RunDirError(f"{', '.join(odd)}: for runs of BEVFormer; {run.recipe.name} sees single images")
    if words.scene and not words.scene.isdecimal():
        raise RunDirError(f"--scene {words.scene}: {run.recipe.name} sees single images; type an image id, a number")
    split = split_of(run)
    images = choose_images(run, split, int(words.scene) if words.scene else None, words.most)
    figures = (draw_image(view) for view in image_views(run, split, images, words.threshold))
    return _save(figures, [folder / f"image-{image.id}.png" for image in images], None)


def _save(figures: Iterator[Figure], paths: list[Path], film: Path | None) -> list[Path]:
    """Write each figure as a PNG, and all of them as a film if one is asked for; return what was written."""
    with progress("draw", len(paths)) as advance:

        def pictures() -> Iterator[NDArray[np.uint8]]:
            for path, figure in zip(paths, figures, strict=True):
                yield save_png(path, figure)
                advance(1)

        if film is None:
            for _ in pictures():
                pass
            return paths
        write_film(film, pictures())
    return [*paths, film]
