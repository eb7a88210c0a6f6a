"""Messages and numbers of training that goes wrong."""

from doctor.logs.signature import CAUSE, ROOT, Signature

SIGNATURES = (
    Signature(
        name="loss-is-nan",
        category="loss-nan-or-not-converging",
        rank=ROOT,
        needles=("nan", "matrix contains invalid numeric entries", "cost matrix is infeasible", "inf,", "loss is inf"),
        patterns=(
            r"\bloss\w*['\"]?\s*[:=]\s*(?:tensor\()?(?:nan|inf)\b",
            r"[Ll]oss is (?:nan|NaN|inf)",
            r"grad_norm\W{1,4}(?:\S{1,12} \()?nan",
            r"returned nan values",
            r"NaN or Inf found in input",
            r"matrix contains invalid numeric entries",
            r"cost matrix is infeasible",
            r"[Ff]ound (?:NaN|nan|Inf)\b.{0,40}(?:loss|grad)",
        ),
        saw="training diverged: the loss is no longer a number",
        fix=(
            "a lower learning rate (scale it with the batch), warm-up, gradient clipping; with fp16: bf16 or a lower loss scale",
            "torch.autograd.set_detect_anomaly(True) names the operation",
        ),
        sample="Epoch [1][50/3517] lr: 2.0e-04, loss_cls: nan, loss: nan, grad_norm: nan",
    ),
    Signature(
        name="boxes-are-nan",
        category="loss-nan-or-not-converging",
        confidence="likely",
        needles=("boxes1[:, 2:]", "boxes2[:, 2:]"),
        patterns=(r"assert \(boxes[12]\[:, 2:\] >= boxes[12]\[:, :2\]\)\.all\(\)",),
        saw="predicted boxes are not boxes: usually they became NaN",
        fix=("look at the losses before: a lower learning rate, gradient clipping, bf16 instead of fp16",),
        sample="    assert (boxes1[:, 2:] >= boxes1[:, :2]).all()",
    ),
    Signature(
        name="loss-scale-collapsed",
        category="loss-nan-or-not-converging",
        confidence="likely",
        needles=("reducing loss scale to", "minimum loss scale"),
        patterns=(
            r"reducing loss scale to (?:0\.0|[\d.]+e-)",
            r"Minimum loss scale reached",
            r"loss scale .{0,20}too small",
        ),
        saw="fp16 training overflows at every step: the loss scale has fallen to nothing",
        fix=("bf16 instead of fp16, or a lower learning rate",),
        sample="Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 1.1e-10",
    ),
    Signature(
        name="average-precision-is-zero",
        category="loss-nan-or-not-converging",
        confidence="likely",
        rank=CAUSE,
        needles=("mean_ap", "map:", "object class", "average precision"),
        patterns=(
            r"^\W*(?:pts_bbox_NuScenes/)?m(?:ean_)?AP\W{1,6}0\.0{2,}\d*\b",
            r"Average Precision .*area=\s*all .*= (?:0\.000|-1\.000)",
            r"^Object Class\s+AP",
        ),
        also=r"m(?:ean_)?AP\W{1,6}0\.0{2,}|area=\s*all .*= 0\.000|^car\s+0\.0",
        saw="average precision is zero: too little training or data (mini), no pretrained backbone, or a checkpoint that did not load",
        fix=(
            "read the loading messages of the checkpoint: missing and unexpected keys",
            "mini is too small to converge (maintainers); the recipe's batch and learning rate belong together",
        ),
        sample="Object Class    AP      ATE\ncar     0.000   1.337\ntruck   0.000   1.000",
    ),
    Signature(
        name="loss-on-its-plateau",
        category="loss-nan-or-not-converging",
        confidence="guess",
        needles=("epoch [1][3", "epoch [1][2"),
        patterns=(r"Epoch \[1\]\[[23]\d{3}/\d{4}\].*loss_cls: 1\.[0-9]\d*,.*\bloss: 1[3-9]\.\d+",),
        saw="the loss of a six-layer decoder still stands where it started near the end of the first epoch",
        fix=("is the backbone's pretrained file loaded? Do learning rate and total batch (8) belong together?",),
        sample="Epoch [1][3300/3517] lr: 2.000e-04, loss_cls: 1.0279, d0.loss_cls: 1.0241, loss: 13.6731",
    ),
)
