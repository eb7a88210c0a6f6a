"""What the record says stands on the page: hashes, memory by stage, the doctor's words, conditions and gates."""

from __future__ import annotations

from dataclasses import replace

from repro.artifacts import Condition, GateVerdict
from repro.record.schema import Container, GpuUse, Record, StageFact, Use
from repro.report import Look, Shows, page
from repro.report.origin import origin_rows, taken_rows
from tests.plain_run import TINY
from tests.record.sample import plain_record
from tests.report.sheets import facts

GPU = GpuUse(
    name="Some GPU", samples=9, utilisation_percent=87.4, power_w=250.0, memory_peak_gib=7.25, temperature_peak_c=None
)


def stage(name: str, seconds: float, use: Use | None) -> StageFact:
    return StageFact(name=name, key={}, finished="2026-11-21 12:00:00", seconds=seconds, use=use)


def page_of(record: Record) -> str:
    return page(TINY, facts(), Shows(losses=(), curves=None, look=Look(kind="frames", why="gone"), record=record))


def test_time_and_memory_are_told_in_words_and_as_shares_of_the_most() -> None:
    host = Use(host_peak_gib=1.5, torch_gpu_peak_gib=None)
    record = plain_record(
        stages=(
            stage("data", 2.5, host.model_copy(update={"host_peak_gib": 0.75})),
            stage("train", 7200.0, host),
            stage("evaluate", 720.0, None),
        )
    )
    data, train, evaluate = taken_rows(record)
    assert (data.seconds, data.host, data.host_share) == ("2.5 s", "0.75 GiB", 50.0)
    assert (train.time_share, train.host_share) == (100.0, 100.0)
    assert (evaluate.seconds, evaluate.time_share, evaluate.host) == ("12 min", 10.0, "not known")


def test_a_gpu_is_told_as_far_as_it_was_seen() -> None:
    use = Use(host_peak_gib=1.5, torch_gpu_peak_gib=6.5, gpus=(GPU,))
    (row,) = taken_rows(plain_record(stages=(stage("train", 7200.0, use),)))
    assert row.gpu == "6.50 GiB held by PyTorch; Some GPU: 7.25 GiB at most, 87 % busy, 250 W"
    assert row.gpu in page_of(plain_record(stages=(stage("train", 7200.0, use),)))


def test_the_hashes_of_the_record_are_on_the_page() -> None:
    record = plain_record()
    html = page_of(record)
    for digest in (record.seal, "c" * 64, *(file.sha256 for file in record.files)):
        assert digest in html


def test_the_doctor_speaks_with_severity_and_code() -> None:
    html = page_of(plain_record())
    assert "147 checks before the run" in html
    assert '<li class="note"><strong>note</strong> <code>GPU01</code> no GPU</li>' in html


def test_an_image_is_named_where_there_was_one() -> None:
    contained = plain_record(container=Container(image_digest="sha256:feed", stack="cu130"))
    assert ("container", "image `sha256:feed`") in origin_rows(contained)
    assert ("container", "none") in origin_rows(plain_record())


def test_conditions_and_gates_stand_under_the_verdict() -> None:
    condition = Condition(name="batch", published="8 clips", here="4 clips", allows=0.01, why="half the clips")
    named = replace(facts(), verdict=replace(facts().verdict, conditions=(condition,)))
    gate = GateVerdict(gate="released", outcome="passed", reasons=("within 0.001",))
    shows = Shows(losses=(), curves=None, look=Look(kind="frames", why="gone"), record=plain_record(gates=(gate,)))
    html = page(TINY, named, shows)
    assert "<strong>batch</strong>: 4 clips, published with 8 clips; half the clips (allows ±0.010)" in html
    assert "<strong>released</strong>: passed. within 0.001" in html
