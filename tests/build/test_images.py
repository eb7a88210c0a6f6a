"""The blob of device code in a built file: what is packed comes out again, and damage is said, not read."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from doctor.images import ALIGNMENT, HEADER, ROW, Image, pack, targets, unpack

IMAGES = [Image("msda", "sm_90", b"\x7fELF" + bytes(100)), Image("msda", "compute_120", b".version 9.0\0")]
LAYOUT = Path(__file__).resolve().parents[2] / "repro" / "ops" / "csrc" / "images.h"


def test_what_is_packed_comes_out_again() -> None:
    assert unpack(memoryview(pack(IMAGES))) == IMAGES


def test_a_build_without_device_code_has_an_index_without_rows() -> None:
    assert unpack(memoryview(pack([]))) == []
    assert targets(memoryview(pack([]))) == ()


def test_every_image_is_aligned_and_ends_in_a_zero() -> None:
    blob = pack(IMAGES)
    for number, image in enumerate(IMAGES):
        _, _, place, size, _ = ROW.unpack_from(blob, HEADER.size + number * ROW.size)
        assert place % ALIGNMENT == 0
        assert blob[place : place + size] == image.data
        assert blob[place + size] == 0


def test_machine_code_is_named_before_what_is_compiled_on_first_use() -> None:
    mixed = [IMAGES[1], Image("a", "sm_120", b"x"), Image("b", "sm_75", b"x"), Image("a", "sm_75", b"x")]
    assert targets(memoryview(pack(mixed))) == ("sm_75", "sm_120", "compute_120")


def test_a_name_that_does_not_fit_its_row_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 39 bytes"):
        pack([Image("a" * 40, "sm_90", b"")])


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"", "cut short"),
        (b"ELSEWISE" + bytes(100), "damaged"),
        (pack(IMAGES)[:100], "damaged"),
        (pack(IMAGES)[:200], "outside of the file"),
    ],
)
def test_a_damaged_blob_says_so(blob: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        unpack(memoryview(blob))
    assert targets(memoryview(blob)) == ()


def test_any_damage_raises_nothing_else() -> None:
    chance = random.Random(0)  # noqa: S311 — no secret
    for _ in range(300):
        blob = bytearray(pack(IMAGES))
        for _ in range(3):
            blob[chance.randrange(len(blob))] = chance.randrange(256)
        targets(memoryview(bytes(blob[: chance.randrange(len(blob))])))


@pytest.mark.skipif(not LAYOUT.exists(), reason="repro/ops/csrc/images.h is not here")
def test_the_layout_is_the_one_that_the_host_reads() -> None:
    text = LAYOUT.read_text(encoding="utf-8")
    magic = "".join(re.findall(r"'(.)'", text.partition("IMAGES_MAGIC[8]")[2].partition(";")[0]))
    assert magic.encode() == HEADER.unpack_from(pack([]))[0]
    assert re.search(r"IMAGE_CUBIN = 0, IMAGE_PTX = 1", text)
    assert re.search(rf"sizeof\(ImagesHeader\) == {HEADER.size} && sizeof\(ImageEntry\) == {ROW.size}", text)
