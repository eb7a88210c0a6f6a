"""The record as bytes: one spelling, a version, a seal that any changed byte breaks; and its published JSON schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.record.schema import Record, RecordError, json_schema_text, parse_record, read_record, text_of
from tests.record.sample import plain_record

PUBLISHED = Path(__file__).resolve().parents[2] / "repro" / "record" / "record.schema.json"
WRITTEN = text_of(plain_record()).encode()


def test_a_record_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes(WRITTEN)
    assert read_record(tmp_path / "record.json") == plain_record()


@given(place=st.integers(0, len(WRITTEN) - 1), byte=st.integers(0, 255))
def test_any_one_changed_byte_is_refused(place: int, byte: int) -> None:
    changed = WRITTEN[:place] + bytes([byte]) + WRITTEN[place + 1 :]
    if changed == WRITTEN:
        assert parse_record(changed, "r") == plain_record()
        return
    with pytest.raises(RecordError, match="r: "):
        parse_record(changed, "r")


@given(st.integers(0, len(WRITTEN) - 1), st.binary(max_size=3))
def test_bytes_that_go_or_come_are_refused(place: int, more: bytes) -> None:
    for changed in (WRITTEN[:place], WRITTEN[:place] + WRITTEN[place + 1 :], WRITTEN + b"\n" + more):
        with pytest.raises(RecordError):
            parse_record(changed, "r")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(Record.model_fields)), JSON)
def test_a_field_of_any_other_shape_is_refused_in_words(name: str, value: object) -> None:
    document = json.loads(WRITTEN)
    if document[name] == value:
        return
    with pytest.raises(RecordError, match="r: "):
        parse_record(json.dumps(document | {name: value}, indent=1).encode(), "r")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_refused_in_words(content: bytes) -> None:
    with pytest.raises(RecordError, match="r: "):
        parse_record(content, "r")


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"schema_version":' * 50_000, b'{"a": "\\ud800"}'])
def test_deep_and_broken_json_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(RecordError, match="r: "):
        parse_record(content, "r")


def test_a_record_of_another_version_is_not_judged_by_this_one() -> None:
    document = json.loads(WRITTEN) | {"schema_version": 2}
    with pytest.raises(RecordError, match="schema_version 2, this bevready reads 1; check it with the bevready that"):
        parse_record(json.dumps(document).encode(), "r")


def test_a_record_sealed_for_other_content_is_refused() -> None:
    forged = WRITTEN.replace(b'"mean_ap": 0.252', b'"mean_ap": 0.352')
    assert forged != WRITTEN
    with pytest.raises(RecordError, match="changed after it was written: its seal belongs to other content"):
        parse_record(forged, "r")


def test_a_missing_record_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="No such file or directory; name the folder of a finished run"):
        read_record(tmp_path / "record.json")


def test_what_lasts_of_a_record_holds_no_time() -> None:
    later = plain_record(written="2027-01-01T00:00:00Z", doctor=None)
    slow = later.stages[0].model_copy(update={"seconds": 99.0, "finished": "later", "use": None})
    assert plain_record(written=later.written, stages=(slow,)).lasting() == plain_record().lasting()
    assert plain_record(smoke=True).lasting() != plain_record().lasting()


def test_the_published_schema_is_the_one_that_is_read_by() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == json_schema_text(), f"run python {__file__}"


if __name__ == "__main__":
    PUBLISHED.write_text(json_schema_text(), encoding="utf-8")
