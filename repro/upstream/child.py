"""Runs the authors' model on frames and weights that it is given, and writes down what each named module returns.

Runs as a child process, in the environment `upstream` (Python 3.8) and in the authors' checkout, and imports nothing of
ours. In: the name of a JSON file that says where everything lies. Out: an .npz, and one JSON line, the last on stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

PLUGIN = "projects/mmdet3d_plugin/"
ANSWER = "bevready: "  # what stands before our line: the authors' code prints too


def main() -> None:
    """Build the model, fill it, run it frame by frame, write what was seen."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.chdir(request["checkout"])
    sys.path.insert(0, request["checkout"])
    np: Any = importlib.import_module("numpy")
    torch: Any = importlib.import_module("torch")
    model = build(request["config"])
    with np.load(request["weights"], allow_pickle=False) as stored:
        fit = model.load_state_dict({name: torch.from_numpy(stored[name]) for name in stored.files}, strict=False)
    model.eval()
    with np.load(request["frames"], allow_pickle=False) as stored:
        frames = {name: stored[name] for name in stored.files}
    np.savez(request["outputs"], **run(model, torch, frames, request))
    loaded = [name for name in request["packages"] if name in sys.modules]
    versions = {name: str(getattr(sys.modules[name], "__version__", "?")) for name in loaded}
    answer = {
        "versions": dict(versions, python=platform.python_version()),
        "missing": list(fit.missing_keys),
        "unexpected": list(fit.unexpected_keys),
    }
    sys.stdout.write("\n" + ANSWER + json.dumps(answer) + "\n")


def build(config: str) -> Any:
    """Return the model of a configuration file of the checkout, as the authors' tools/test.py builds it."""
    mmcv: Any = importlib.import_module("mmcv")
    told = mmcv.Config.fromfile(config)
    importlib.import_module(told.get("plugin_dir", PLUGIN).strip("/").replace("/", "."))
    told.model.pretrained = None  # weights come from us
    told.model.train_cfg = None
    models: Any = importlib.import_module("mmdet3d.models")
    return models.build_model(told.model, test_cfg=told.get("test_cfg"))


def run(model: Any, torch: Any, frames: Any, request: Any) -> Any:
    """Return what those modules of `request` that there are returned: "FRAME/MODULE/PART" → array."""
    seen: Any = {}
    modules = dict(model.named_modules())
    at = {"frame": 0}

    def keep(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            for part, array in parts(output, torch):
                seen.setdefault("%d/%s/%s" % (at["frame"], name, part), array)  # noqa: UP031 — the first call counts

        return hook

    for name in set(request["modules"]) & set(modules):
        modules[name].register_forward_hook(keep(name))
    history = None
    with torch.no_grad():
        for number in range(len(frames["images"])):
            at["frame"] = number
            meta = meta_of(frames, number)
            features = model.extract_feat(img=torch.from_numpy(frames["images"][number]).clone(), img_metas=[meta])
            told = model.pts_bbox_head(features, [meta], prev_bev=history)
            history = told["bev_embed"] if request["history"] else None
    return seen


def parts(output: Any, torch: Any) -> Any:
    """Yield (name, array) of each tensor in what a module returned; a lone tensor has an empty name."""
    if isinstance(output, torch.Tensor):
        yield "", output.detach().cpu().numpy().copy()  # later layers may write into it
    elif isinstance(output, dict):
        for name, value in output.items():
            if isinstance(value, torch.Tensor):
                yield name, value.detach().cpu().numpy().copy()
    else:
        for number, value in enumerate(output):
            yield str(number), value.detach().cpu().numpy().copy()


def meta_of(frames: Any, number: int) -> Any:
    """Return what the authors call img_metas, of one frame."""
    images = frames["images"][number]
    rows, columns = images.shape[-2:]
    return {
        "can_bus": frames["can_bus"][number].copy(),
        "lidar2img": list(frames["img_from_lidar"][number]),
        "img_shape": [(rows, columns, 3)] * images.shape[1],
        "scene_token": "one",
    }


if __name__ == "__main__":
    main()
