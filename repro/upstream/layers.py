"""Which module of the authors' model is which of ours, in the order of a forward pass, and how near they must be.

Names come from the table that translates state dicts. Layouts need none: with a batch of one, both sides hold the same
array once axes of length one are gone.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from repro.models.upstream_names import upstream_name
from repro.parity.check import Check, Tolerance, compare
from repro.upstream import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from repro.models.bevformer import BEVFormer
    from repro.recipe import Recipe
    from repro.tensors import Prediction

# ../shared/golden/README.md, "Float noise", as shares of the largest value: two builds of torch differ by rounding only
FEATURES = Tolerance(of_max=1e-5)
BEV = Tolerance(of_max=2e-5)
WORST, P99, GROWTH = 5e-5, 2e-6, 3  # of the first decoder layer; refinement feeds each layer's error back threefold
HEAD = "pts_bbox_head"
PREDICTION = "prediction"  # stands where a module of ours would: what the whole model returns
ENCODER_STEPS = ("after temporal self-attention", "after spatial cross-attention", "output")
DECODER_STEPS = ("after self-attention", "after cross-attention", "output")


@dataclass(frozen=True, slots=True)
class Layer:
    """One compared array: what it is, the authors' "MODULE/PART", our "MODULE/PART", and what may differ.

    `decoder` counts the refining layers before it; None outside the decoder.
    """

    what: str
    theirs: str
    ours: str
    tolerance: Tolerance
    decoder: int | None = None

    @property
    def part(self) -> str:
        """The part of the model that it belongs to: "backbone", "encoder 0", "decoder 5", …."""
        return self.what.partition(",")[0]


def layers_of(recipe: Recipe) -> list[Layer]:
    """Return what is compared of a recipe's model, in the order in which it is computed."""
    model = recipe.model
    images = [
        *(_image_layer("backbone", level) for level in range(len(model.backbone.out_stages))),
        *(_image_layer("neck", level) for level in range(model.neck.num_outs)),
    ]
    motion = Layer("CAN bus embedding", f"{HEAD}.transformer.can_bus_mlp/", "can_bus_mlp/", BEV)
    encoder = [
        Layer(f"encoder {n}, {words}", *_norm(f"encoder.{n}.norms.{m}"), BEV)
        for n in range(model.encoder.layers)
        for m, words in enumerate(ENCODER_STEPS)
    ]
    decoder = [layer for n in range(model.decoder.layers) for layer in _decoder_layers(n)]
    last = model.decoder.layers - 1
    head = [
        Layer("all class logits", f"{HEAD}/all_cls_scores", f"{PREDICTION}/cls_logits", _refined(last), last),
        Layer("all boxes", f"{HEAD}/all_bbox_preds", f"{PREDICTION}/box_codes", _refined(last), last),
    ]
    return [*images, motion, *encoder, *decoder, *head]


def _image_layer(part: str, level: int) -> Layer:
    return Layer(f"{part}, level {level}", f"img_{part}/{level}", f"{part}/{level}", FEATURES)


def _decoder_layers(n: int) -> Iterator[Layer]:
    for m, words in enumerate(DECODER_STEPS):
        yield Layer(f"decoder {n}, {words}", *_norm(f"decoder.layers.{n}.norms.{m}"), _refined(n), n)
    for words, theirs, ours in (("class logits", "cls", "classify"), ("box step", "reg", "regress")):
        yield Layer(f"decoder {n}, {words}", f"{HEAD}.{theirs}_branches.{n}/", f"head.{ours}.{n}/", _refined(n), n)


def _norm(ours: str) -> tuple[str, str]:
    return upstream_name(f"{ours}.weight").removesuffix(".weight") + "/", f"{ours}/"


def _refined(n: int) -> Tolerance:
    return Tolerance(of_max=WORST * GROWTH**n)


@contextmanager
def watched(model: BEVFormer, layers: Sequence[Layer], judge: Callable[[Layer, Tensor], None]) -> Iterator[None]:
    """Hand what the modules of `layers` return to `judge`, as they return it: later layers may write into it."""
    modules = dict(model.named_modules())
    of_module: dict[str, dict[str, Layer]] = {}
    for layer in layers:
        name, _, part = layer.ours.partition("/")
        of_module.setdefault(name, {})[part] = layer

    def keep(parts: Mapping[str, Layer]) -> Any:
        def hook(_module: object, _inputs: object, output: Any) -> None:
            values = {"": output} if isinstance(output, Tensor) else {str(n): value for n, value in enumerate(output)}
            for part, layer in parts.items():
                judge(layer, values[part])

        return hook

    with ExitStack() as hooks:
        for name in of_module.keys() - {PREDICTION}:
            hooks.callback(modules[name].register_forward_hook(keep(of_module[name])).remove)
        yield


def predicted(layers: Sequence[Layer], prediction: Prediction) -> Iterator[tuple[Layer, Tensor]]:
    """Yield the layers that are the model's answer, with what it says."""
    for layer in layers:
        module, _, part = layer.ours.partition("/")
        if module == PREDICTION:
            yield layer, getattr(prediction, part)


def judged(layer: Layer, ours: Tensor, theirs: NDArray[np.float32]) -> Check:
    """Compare one layer; axes of length one do not count."""
    tolerance = layer.tolerance
    if layer.decoder is not None and theirs.size:
        p99 = P99 * GROWTH**layer.decoder * float(abs(theirs).max())
        tolerance = Tolerance(of_max=tolerance.of_max, p99=float(f"{p99:.1e}"))
    return compare(layer.what, ours.detach().squeeze(), theirs.squeeze(), tolerance)


def absent(layer: Layer, whose: str) -> Check:
    """Return the check of a layer that one of the two models never came by."""
    name = layer.theirs if whose == "theirs" else layer.ours
    what = f"{layer.what}: {whose} has no {name}"
    return Check(what=what, worst_abs=0.0, worst_rel=0.0, tolerance=ABSENT, ok=False)
