"""Golden cases of single modules: same weights, same inputs; outputs and every gradient are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from repro.models.attention import DeformableAttention
from repro.models.bevformer.decoder import Decoder
from repro.models.bevformer.encoder import BevView, EncoderLayer
from repro.models.bevformer.head import regression_branch
from repro.models.bevformer.model import cell_positions
from repro.models.bevformer.spatial import PillarAttention, SpatialCrossAttention
from repro.models.bevformer.temporal import TemporalSelfAttention
from repro.models.deform_conv import deform_conv
from repro.models.upstream_names import our_name
from repro.ops import ms_deform_attn
from repro.parity.check import MODULE, CaseResult, Check, Tolerance, compare
from repro.recipe import load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from repro.parity.golden import Arrays
    from repro.recipe import Model

Inputs = dict[str, Tensor]
Outputs = dict[str, Tensor]
BEV_SIZE = (6, 5)  # rows, columns of the module cases (golden index, tsa_*)
# Box refinement amplifies rounding about threefold a layer (golden README), and these cases have three: set A's own
# gradients are 2.2e-6 of their maximum away from the same arithmetic in float64, so 1e-6 would judge luck.
THROUGH_REFINEMENT = Tolerance(relative=1e-5, of_max=5e-6)


def replay(
    name: str,
    arrays: Arrays,
    run: Callable[[Inputs], Outputs],
    parameters: Mapping[str, nn.Parameter | Tensor],
    *,
    skip_gradient: Mapping[str, slice] | None = None,
    gradients: Tolerance = MODULE,
) -> CaseResult:
    """Run a case and compare `out.*`, then the gradients of Σ out·noise: `gin.*` of inputs, `gw.*` of weights.

    `parameters` holds our weights by their golden name. `skip_gradient` keeps only a slice of queries of an input's
    gradient, where the golden index says that the rest is one-sided.
    """
    inputs = arrays.tensors("in.")
    for tensor in inputs.values():
        tensor.requires_grad_(tensor.is_floating_point())
    outputs = run(inputs)
    checks: list[Check] = [
        compare(f"out.{key}", outputs[key].reshape(arrays[f"out.{key}"].shape), arrays[f"out.{key}"], MODULE)
        for key in arrays.names("out.")
    ]
    if arrays.names("noise."):
        total = torch.stack(
            [
                (outputs[key] * arrays.tensor(f"noise.{key}").reshape(outputs[key].shape)).sum()
                for key in arrays.names("noise.")
            ]
        ).sum()
        total.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    for key in arrays.names("gin."):
        ours, golden = _grad(inputs[key]), arrays[f"gin.{key}"]
        if skip_gradient and key in skip_gradient:
            ours, golden = ours[:, skip_gradient[key]], golden[:, skip_gradient[key]]
        checks.append(compare(f"gin.{key}", ours, golden, gradients))
    checks += [
        compare(f"gw.{key}", _grad(parameters[key]), arrays[f"gw.{key}"], gradients) for key in arrays.names("gw.")
    ]
    return CaseResult(name, tuple(checks))


def _grad(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def _load(module: nn.Module, arrays: Arrays, ours: Callable[[str], str] = str) -> dict[str, nn.Parameter]:
    """Give `module` the case's weights in evaluation mode; return its parameters by golden name."""
    state = {ours(key): key for key in arrays.names("w.")}
    module.load_state_dict({mine: arrays.tensor(f"w.{theirs}") for mine, theirs in state.items()})
    module.eval()
    own = dict(module.named_parameters())
    return {theirs: own[mine] for mine, theirs in state.items()}


def _levels(arrays: Arrays) -> list[tuple[int, int]]:
    return [(int(h), int(w)) for h, w in arrays["static.spatial_shapes"]]


def attention_op(name: str, arrays: Arrays) -> CaseResult:
    """`msda*`: the operator itself."""
    kept = {"loc": slice(8, 10)} if name == "msda_edges" else {}  # on borders the gradient is one-sided (golden index)
    return replay(
        name,
        arrays,
        lambda x: {"out": ms_deform_attn(x["value"], _levels(arrays), x["loc"], x["w"])},
        {},
        skip_gradient=kept,
    )


def temporal(name: str, arrays: Arrays) -> CaseResult:
    """`tsa_*`: temporal self-attention; upstream's module adds the residual itself."""
    C, heads, points = arrays["in.query"].shape[-1], 4, 4
    module = TemporalSelfAttention(channels=C, heads=heads, points=points, rows="upstream")
    weights = _load(module, arrays)
    references = arrays.tensor("static.reference_points").squeeze(2)

    def run(x: Inputs) -> Outputs:
        size = _levels(arrays)[0]
        return {"out": module(x["query"], x["query_pos"], x.get("prev"), references, size) + x["query"]}

    return replay(name, arrays, run, weights)


def pillars(name: str, arrays: Arrays) -> CaseResult:
    """`msda3d_*`: deformable attention around the points of a pillar."""
    levels = _levels(arrays)
    module = PillarAttention(channels=arrays["in.query"].shape[-1], heads=4, levels=len(levels), points=8)
    weights = _load(module, arrays)
    references = arrays.tensor("static.reference_points")
    return replay(name, arrays, lambda x: {"out": module(x["query"], x["value"], references, levels)}, weights)


def spatial(name: str, arrays: Arrays) -> CaseResult:
    """`sca_*`: spatial cross-attention; upstream's module adds the residual itself."""
    levels = _levels(arrays)
    C = arrays["in.query"].shape[-1]
    module = SpatialCrossAttention(channels=C, heads=4, levels=len(levels), points=8, hits="first_item")
    weights = _load(module, arrays, lambda key: key.replace("deformable_attention.", "pillars."))
    where, visible = arrays.tensor("static.reference_points_cam"), arrays.tensor("static.bev_mask").bool()

    def run(x: Inputs) -> Outputs:
        value = x["value"].transpose(1, 2)  # [N, B, S, C]
        return {"out": module(x["query"], value, where, visible, levels) + x["query"]}

    return replay(name, arrays, run, weights)


def cross_attention(name: str, arrays: Arrays) -> CaseResult:
    """`dec_attn*`: the decoder's deformable attention, sequence first upstream; the residual is upstream's."""
    levels = _levels(arrays)
    module = DeformableAttention(channels=arrays["in.query"].shape[-1], heads=4, levels=len(levels), points=4)
    weights = _load(module, arrays)
    references = arrays.tensor("static.reference_points")
    padding = arrays.tensor("static.key_padding_mask").bool() if "static.key_padding_mask" in arrays else None

    def run(x: Inputs) -> Outputs:
        query = (x["query"] + x["query_pos"]).transpose(0, 1)
        seen = module(query, x["value"].transpose(0, 1), references, levels, padding)
        return {"out": seen.transpose(0, 1) + x["query"]}

    return replay(name, arrays, run, weights)


def encoder_layer(name: str, arrays: Arrays) -> CaseResult:
    """`enc_layer_*`: a whole encoder layer, with and without history."""
    levels = tuple(_levels(arrays))
    model = _small_model(arrays, levels=len(levels), layers=1, prefix="w.")
    module = EncoderLayer(model)
    weights = _load(
        module, arrays, lambda key: _inside(f"pts_bbox_head.transformer.encoder.layers.0.{key}", "encoder.0.")
    )
    B = arrays["in.query"].shape[0]

    def run(x: Inputs) -> Outputs:
        view = BevView(
            position=x["bev_pos"],
            pairs=x.get("prev"),
            has_history=torch.ones(B, dtype=torch.bool),
            bev_references=arrays.tensor("static.ref_2d").squeeze(2),
            tokens=x["value"].transpose(1, 2),
            image_references=arrays.tensor("static.reference_points_cam"),
            visible=arrays.tensor("static.bev_mask").bool(),
            bev_size=BEV_SIZE,
            level_sizes=levels,
        )
        return {"out": module(x["query"], view)}

    return replay(name, arrays, run, weights)


class _DecoderWithBranches(nn.Module):
    """The decoder and the regression branches that refine its reference points, under one state dict."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.decoder = Decoder(model)
        self.regress = nn.ModuleList(regression_branch(model.embed_dims) for _ in range(model.decoder.layers))


def decoder(name: str, arrays: Arrays) -> CaseResult:
    """`decoder_*`: three decoder layers with refinement, sequence first upstream."""
    layers = arrays["out.hs"].shape[0]
    module = _DecoderWithBranches(_small_model(arrays, levels=1, layers=layers, prefix="w.decoder.layers.0."))

    def ours(key: str) -> str:
        if key.startswith("decoder."):
            return _inside(f"pts_bbox_head.transformer.{key}", "")
        return key.replace("reg_branches.", "regress.")

    weights = _load(module, arrays, ours)

    def run(x: Inputs) -> Outputs:
        first = {key: x[key].transpose(0, 1) for key in ("query", "query_pos", "value")}
        states, _, references = module.decoder(
            first["query"], first["query_pos"], first["value"], x["reference_points"], BEV_SIZE, module.regress
        )
        return {"hs": states.transpose(1, 2), "inter_references": references[1:]}

    return replay(name, arrays, run, weights, gradients=THROUGH_REFINEMENT)


def learned_positions(name: str, arrays: Arrays) -> CaseResult:
    """`learned_pos`: the BEV's position embedding; upstream's is [B, C, Y, X], its input only gives the size."""
    rows = nn.Parameter(arrays.tensor("w.positional_encoding.row_embed.weight"))
    columns = nn.Parameter(arrays.tensor("w.positional_encoding.col_embed.weight"))
    B = arrays["in.z"].shape[0]

    def run(_: Inputs) -> Outputs:
        cells = cell_positions(rows, columns)  # [Q, C]
        return {"out": cells.T.view(1, -1, len(rows), len(columns)).expand(B, -1, -1, -1)}

    names = {"positional_encoding.row_embed.weight": rows, "positional_encoding.col_embed.weight": columns}
    return replay(name, arrays, run, names)


def deformable_convolution(name: str, arrays: Arrays) -> CaseResult:
    """`dcnv2_*`: DCNv2 under upstream's offset convention, also in shapes no recipe uses (groups, dilation, a bias)."""
    if "in.offset" in arrays:

        def steered(x: Inputs) -> Outputs:
            return {"out": deform_conv(x["x"], x["offset"], x["mask"], x["weight"]) + x["bias"][:, None, None]}

        return replay(name, arrays, steered, {})
    weights = {key: nn.Parameter(arrays.tensor(f"w.{key}")) for key in arrays.names("w.")}
    stride = -(-arrays["in.x"].shape[-1] // arrays["out.out"].shape[-1])
    dilation = 2 if name.endswith("dil2") else 1
    steps = {"stride": stride, "dilation": dilation}

    def run(x: Inputs) -> Outputs:
        offset_weight, offset_bias = weights["conv_offset.weight"], weights["conv_offset.bias"]
        raw = nn.functional.conv2d(x["x"], offset_weight, offset_bias, padding=dilation, **steps)
        offsets, mask = torch.split(raw, [len(offset_bias) // 3 * 2, len(offset_bias) // 3], dim=1)
        return {"out": deform_conv(x["x"], offsets, mask.sigmoid(), weights["weight"], **steps)}

    return replay(name, arrays, run, weights)


def _inside(upstream: str, prefix: str) -> str:
    mapped = our_name(upstream)
    assert mapped is not None, upstream
    return mapped.removeprefix(prefix)


def _small_model(arrays: Arrays, *, levels: int, layers: int, prefix: str) -> Model:
    """Return BEVFormer-tiny's settings at the widths of a module case; the quirks stay upstream's."""
    tiny = load_recipe("bevformer_tiny").model
    hidden, channels = arrays[f"{prefix}ffns.0.layers.0.0.weight"].shape
    neck = tiny.neck.model_copy(update={"out_channels": channels, "num_outs": levels})
    sizes = {"embed_dims": channels, "heads": 4, "ffn_dims": hidden, "neck": neck}
    depth = {"decoder": tiny.decoder.model_copy(update={"layers": layers})}
    return tiny.model_copy(update=sizes | depth)
