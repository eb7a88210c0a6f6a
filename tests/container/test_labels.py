"""Whether an image is the one to run here is read off its labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.containers.labels import ImageFacts, misfits, read_labels

LABELS = {
    "bevready.stack": "cu130",
    "bevready.sources": "0123456789abcdef",
    "bevready.archs": "all",
    "bevready.min-driver": "580.65.06",
    "org.opencontainers.image.base.name": "debian:bookworm-slim",
}


def words_about(
    labels: dict[str, str], *, sources: str = "0123456789abcdef", driver: tuple[int, ...] | None = None
) -> str:
    return "; ".join(misfits(read_labels(labels), stack="cu130", sources=sources, driver=driver))


def test_an_image_of_this_checkout_fits_a_host_without_a_gpu() -> None:
    assert not words_about(LABELS)


@pytest.mark.parametrize("driver", [(580, 65, 6), (580, 95, 5), (610, 3, 1)])
def test_a_driver_that_is_new_enough_fits(driver: tuple[int, ...]) -> None:
    assert not words_about(LABELS, driver=driver)


def test_an_image_that_is_newer_than_the_driver_does_not() -> None:
    words = words_about(LABELS, driver=(570, 124, 4))
    assert "needs the NVIDIA driver 580.65.06 or newer, and 570.124.4 is loaded" in words


def test_an_image_of_other_sources_would_give_other_numbers() -> None:
    words = words_about(LABELS, sources="fedcba9876543210")
    assert "built from other sources (0123456789abcdef)" in words
    assert "./bevready docker-build --stack cu130" in words


def test_an_image_under_a_wrong_name_is_told() -> None:
    assert "holds the stack cu126, not cu130" in words_about({**LABELS, "bevready.stack": "cu126"})


def test_somebody_elses_image_is_told() -> None:
    assert "bevready did not build it" in words_about({"maintainer": "somebody"})


def test_a_base_without_a_digest_is_unpinned() -> None:
    assert not read_labels(LABELS).is_pinned
    assert read_labels({**LABELS, "org.opencontainers.image.base.digest": "sha256:00"}).is_pinned


def test_no_labels_at_all_are_no_facts() -> None:
    assert read_labels(None) == ImageFacts(stack="", sources="", archs="", min_driver="", base="", base_digest="")


@given(st.text(max_size=60))
def test_no_text_in_the_driver_label_ends_in_an_exception(text: str) -> None:
    words_about({**LABELS, "bevready.min-driver": text}, driver=(580, 65, 6))
