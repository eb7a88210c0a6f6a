"""The authors' model in their own environment: says how far it has come, and runs on the frames that it is then given.

A child process in the environment `upstream` (Python 3.8) that imports nothing of ours. In: the name of a JSON file
that says which model is meant, and "go" on standard input once another one, weights and frames lie in the scratch
folder. Out: an .npy for each array, and on stdout lines of JSON, each behind `ANSWER`. When standard input closes,
whoever asked is gone: then this process ends, and takes their scratch folder with it.
"""

# ruff: noqa: UP031 — Python 3.8
from __future__ import annotations

import importlib
import json
import os
import platform
import re
import shutil
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGIN = "projects/mmdet3d_plugin/"
ANSWER = "bevready: "  # what stands before our lines: the authors' code prints too
BLOCK = re.compile(r"img_backbone\.layer\d+\.\d+")  # counted besides the compared layers: most of the time goes there
GUARD = "bevready_guard"
DEFORMABLE = "ModulatedDeformConv2dPack"


def main() -> None:
    """Import, build, wait for the word, fill, run; tell each step that is done, and the one that failed."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to both; whoever asked ends us
    go = threading.Event()
    threading.Thread(target=listen, args=(go, request["scratch"]), daemon=True).start()
    checkout = request["checkout"]
    tell("python", version=platform.python_version())
    os.chdir(checkout)
    sys.path.insert(0, checkout)
    with step("packages", checkout):
        torch = imported(request["packages"])
    with step("model", checkout):
        model = build(request["config"])
    with step("operators", checkout):
        try_operators(model, torch)
    weights = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    tell("model", weights=weights, stand_ins=stand_ins())
    go.wait()
    scratch = Path(request["scratch"])
    given = json.loads((scratch / "given.json").read_text(encoding="utf-8"))
    with step("weights", checkout):
        fill(model, torch, scratch / "weights.npz")
    with step("run", checkout):
        run(model, torch, scratch, given)
    tell("done")


def listen(go: threading.Event, scratch: str) -> None:
    """Set `go` at the first word; where no more can come, nobody waits for us and nobody will clean up."""
    while os.read(0, 1 << 12):
        go.set()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(1)


def tell(what: str, **words: Any) -> None:
    """Write one line that whoever asked will read."""
    sys.stdout.write("\n" + ANSWER + json.dumps(dict(words, **{"is": what})) + "\n")
    sys.stdout.flush()


@contextmanager
def step(name: str, checkout: str) -> Iterator[None]:
    """Tell what failed in the block, and end the process."""
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 — whatever it is, it is told
        traceback.print_exc()
        missing = getattr(error, "name", None)
        missing = missing if isinstance(missing, str) else None
        told = {"step": name, "error": type(error).__name__, "words": str(error), "name": missing}
        versions = {package: version_of(package) for package in ("torch", "mmcv") if package in sys.modules}
        tell("failed", where=place_of(error, checkout), versions=versions, **told)
        sys.stdout.flush()
        os._exit(1)


def place_of(error: BaseException, checkout: str) -> str:
    """Return "FILE:LINE" of what failed, the last place in the checkout if it came by there; empty if unknown."""
    if isinstance(error, SyntaxError) and error.filename:
        places = [(error.filename, error.lineno)]
    else:
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        places = [place for place in places if place[0] != __file__ and not place[0].startswith("<")]
    inside = [place for place in places if place[0].startswith(checkout)] or places
    return "%s:%s" % (os.path.relpath(inside[-1][0], checkout), inside[-1][1]) if inside else ""


def imported(packages: Any) -> Any:
    """Import what their model stands on, tell the versions, and return torch."""
    modules = {name: importlib.import_module(name) for name in packages}
    if not hasattr(modules["mmcv"], "Config"):
        raise ImportError("no mmcv.Config", name="mmcv")
    tell("packages", versions={name: version_of(name) for name in packages})
    return modules["torch"]


def version_of(package: str) -> str:
    """Return the version that an imported package says it has."""
    return str(getattr(sys.modules[package], "__version__", "?"))


def stand_ins() -> Any:
    """Return the modules that the environment's guard stood in for, as it is installed by `env --stack upstream`."""
    return sorted(name for name, module in sys.modules.items() if type(module).__module__ == GUARD)


def build(config: str) -> Any:
    """Return the model of a configuration file of the checkout, as the authors' tools/test.py builds it."""
    mmcv: Any = sys.modules["mmcv"]
    told = mmcv.Config.fromfile(config)
    importlib.import_module(told.get("plugin_dir", PLUGIN).strip("/").replace("/", "."))
    told.model.pretrained = None  # weights come from us
    told.model.train_cfg = None
    models: Any = importlib.import_module("mmdet3d.models")
    return models.build_model(told.model, test_cfg=told.get("test_cfg")).eval()


def try_operators(model: Any, torch: Any) -> None:
    """Run one deformable convolution, where there is any: not every mmcv can, on a CPU."""
    found = [module for module in model.modules() if type(module).__name__ == DEFORMABLE]
    with torch.no_grad():
        for module in found[:1]:
            module(torch.zeros(1, module.in_channels, 3, 3))


def fill(model: Any, torch: Any, weights: Path) -> None:
    """Give the model the weights of an .npz; those that are not in it keep their values."""
    np: Any = importlib.import_module("numpy")
    with np.load(str(weights), allow_pickle=False) as stored:
        model.load_state_dict({name: torch.from_numpy(stored[name]) for name in stored.files}, strict=False)


def run(model: Any, torch: Any, scratch: Path, given: Any) -> None:
    """Run all frames; write what the modules that are asked for return, as they return it, and tell where it lies."""
    np: Any = importlib.import_module("numpy")
    modules = dict(model.named_modules())
    wanted, seen = set(given["modules"]), set()
    watched = [name for name in modules if name in wanted or BLOCK.fullmatch(name)]
    at = {"frame": 0}

    def keep(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            if (at["frame"], name) in seen:  # the first call counts
                return
            seen.add((at["frame"], name))
            files: Any = {}
            for part, tensor in parts(output, torch) if name in wanted else ():
                file = scratch / ("theirs-%d-%d.npy" % (len(seen), len(files)))
                np.save(str(file), tensor.detach().cpu().numpy(), allow_pickle=False)
                files["%s/%s" % (name, part)] = file.name
            tell("seen", frame=at["frame"], module=name, files=files)

        return hook

    for name in watched:
        modules[name].register_forward_hook(keep(name))
    tell("running", watched=len(watched))
    with np.load(str(scratch / "frames.npz"), allow_pickle=False) as stored:
        frames = {name: stored[name] for name in stored.files}
    history = None
    with torch.no_grad():
        for number in range(len(frames["images"])):
            at["frame"] = number
            meta = meta_of(frames, number)
            features = model.extract_feat(img=torch.from_numpy(frames["images"][number]).clone(), img_metas=[meta])
            told = model.pts_bbox_head(features, [meta], prev_bev=history)
            history = told["bev_embed"] if given["history"] else None


def parts(output: Any, torch: Any) -> Any:
    """Yield (name, tensor) of each tensor in what a module returned; a lone tensor has an empty name."""
    if isinstance(output, torch.Tensor):
        yield "", output
    elif isinstance(output, dict):
        for name, value in output.items():
            if isinstance(value, torch.Tensor):
                yield name, value
    else:
        for number, value in enumerate(output):
            yield str(number), value


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
