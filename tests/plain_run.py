"""A plain full run of BEVFormer-tiny as values, for the tests of those who only read what stages left behind."""

from __future__ import annotations

from repro.artifacts import TP_ERRORS, ClassMetrics, DataReady, Machine, Metrics, Trained
from repro.recipe import load_recipe

TINY = load_recipe("bevformer_tiny")
VAL = DataReady(
    dataset="nuscenes",
    dataroot="/data/nuscenes",
    version="v1.0-trainval",
    synthetic=False,
    fingerprint="f",
    train_split="train",
    eval_split="val",
    train_samples=28130,
    eval_samples=6019,
    scenes=850,
    boxes=1,
    warnings=(),
)
FULL = Trained(
    checkpoint="train/weights.pth",
    sha256="0",
    init="torchvision",
    epochs=24,
    iterations=24 * 3517,
    iterations_per_epoch=3517,
    first_loss=40.0,
    last_loss=10.0,
    seconds=1.0,
    notes=(),
)


def measured(nds: float, mean_ap: float, *, samples: int = 6019, eval_set: str = "val") -> Metrics:
    return Metrics(
        nds=nds,
        mean_ap=mean_ap,
        errors=dict.fromkeys(TP_ERRORS, 0.5),
        classes={"car": CAR, "traffic_cone": CONE},
        eval_set=eval_set,
        samples=samples,
        samples_in_split=6019,
        detections=1,
        results="results.json",
        seconds=1.0,
    )


CAR = ClassMetrics(
    ap=0.45, ap_at={"0.5": 0.1, "1.0": 0.4, "2.0": 0.6, "4.0": 0.7}, errors=dict.fromkeys(TP_ERRORS, 0.25)
)
CONE = ClassMetrics(
    ap=0.35,
    ap_at={"0.5": 0.2, "1.0": 0.3, "2.0": 0.4, "4.0": 0.5},
    errors={"trans_err": 0.7, "scale_err": 0.3, "orient_err": None, "vel_err": None, "attr_err": None},
)
DESK = Machine(
    bevready="0.1.0",
    source="0123456789ab",
    python="3.11.7",
    torch="2.11.0+cu130",
    device="cpu",
    device_name="Some Processor",
    cores=2,
    memory_gib=24.0,
    threads=2,
    precision="32-true",
    tf32=False,
    op="reference",
    stack="cu130",
    findings=("note GPU01: no NVIDIA GPU",),
)
