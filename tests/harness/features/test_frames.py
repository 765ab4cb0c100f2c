from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders.errors import InputError
from harness.features import FrameId, contig_of

CONTIGS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@given(CONTIGS, st.integers(0, 10**6), st.sampled_from("FR"), st.integers(1, 3))
def test_a_frame_id_reads_back_what_it_was_written_from(
    contig: str, chunk: int, strand: str, offset: int
) -> None:
    text = f"{contig}_chunk_{chunk}{strand}{offset}"
    parsed = FrameId.parse(text)
    assert (parsed.contig, parsed.chunk, parsed.frame) == (contig, chunk, f"{strand}{offset}")
    assert str(parsed) == text
    assert contig_of(text) == contig


def test_a_contig_named_like_a_frame_keeps_its_name() -> None:
    assert contig_of("a_chunk_1F1_chunk_2R3") == "a_chunk_1F1"


@pytest.mark.parametrize(
    "text", ["P12345", "a_chunk_1F4", "a_chunk_F1", "_chunk_1F1", "a_chunk_1f1", "a_chunk_1F1 ", ""]
)
def test_any_other_id_is_its_own_contig_and_no_frame(text: str) -> None:
    assert contig_of(text) == text
    with pytest.raises(InputError, match="no frame id"):
        FrameId.parse(text)


def test_a_frame_id_cannot_be_made_from_wrong_parts() -> None:
    with pytest.raises(InputError, match="F4"):
        FrameId("a", 1, "F4")
