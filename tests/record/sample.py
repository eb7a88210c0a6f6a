"""A record as values, for the tests of those who read records: a full run of BEVFormer-tiny on somebody's machine."""

from __future__ import annotations

from typing import Any

from repro.artifacts import Comparison, DataReady, Verdict
from repro.record.schema import (
    DataFiles,
    DoctorFinding,
    DoctorLook,
    Extension,
    FileFact,
    Numerics,
    Record,
    Source,
    Stack,
    StageFact,
    Use,
    sealed,
)
from tests.plain_run import DESK, FULL, TINY, VAL, measured

CHECKPOINT = FileFact(role="checkpoint", path="train/weights.pth", size=7, sha256="a" * 64)
METRICS = FileFact(role="stage", path="evaluate.json", size=9, sha256="b" * 64, momentary=True)
REPRODUCED = Verdict(
    outcome="reproduced",
    reasons=("NDS 0.3541 against 0.354 published",),
    comparisons=(Comparison(metric="NDS", published=0.354, measured=0.3541, tolerance=0.003),),
    source="README",
)


def plain_record(*, data: DataReady = VAL, **changes: Any) -> Record:
    """Return a sealed record; `changes` replace fields of it."""
    record = Record(
        schema_version=1,
        written="2026-11-21T12:00:00Z",
        supersedes=None,
        command="./bevready repro --recipe bevformer_tiny",
        smoke=False,
        eval_only=False,
        processes=8,
        recipe=TINY.model_dump(mode="json"),
        source=Source(commit="0" * 40, dirty=False, diff_sha256=None, untracked=(), code={"repro/ops": "1" * 16}),
        stack=Stack(name="cu130", lock_sha256="c" * 64, packages={"torch": "2.11.0"}),
        container=None,
        extension=Extension(op="reference", why="no extension was built", manifest={}),
        machine=DESK,
        doctor=DoctorLook(checks=147, findings=(DoctorFinding(code="GPU01", severity="note", saw="no GPU"),)),
        numerics=Numerics(
            seed=0,
            deterministic_algorithms=False,
            cudnn_deterministic=False,
            cudnn_benchmark=False,
            precision="32-true",
            tf32_matmul=False,
            tf32_cudnn=False,
            threads=2,
        ),
        data=data,
        data_files=DataFiles(tables=(), images=(), images_in_all=0),
        trained=FULL,
        metrics=measured(0.3541, 0.252),
        verdict=REPRODUCED,
        gate=None,
        gates=(),
        stages=(
            StageFact(
                name="evaluate",
                key={"--smoke": "False"},
                finished="2026-11-21 12:00:00",
                seconds=10.0,
                use=Use(host_peak_gib=1.5, torch_gpu_peak_gib=None),
            ),
        ),
        files=(CHECKPOINT, METRICS),
        seal="",
    )
    return sealed(Record.model_validate({**dict(record), **changes}))
