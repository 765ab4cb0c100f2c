"""Windows of clean records: nothing lost, nothing cleaned that stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from embedders.contract import Cleaned
from harness.features.fasta import Record
from harness.features.windows import clean_windows

MakeEmbedder = Callable[..., Any]


@given(
    texts=st.lists(st.sampled_from(["MKT", "mk", "", "M1"]), max_size=20), size=st.integers(1, 6)
)
def test_every_record_is_kept_clean_or_rejected_in_the_window_of_its_place(
    make_embedder: MakeEmbedder, texts: list[str], size: int
) -> None:
    records = [Record(f"r{n}", text, n) for n, text in enumerate(texts, start=1)]
    windows = list(clean_windows(iter(records), size, make_embedder(), standing=()))
    assert [window.number for window in windows] == list(range(-(-len(texts) // size)))
    for window in windows:
        here = records[window.number * size : (window.number + 1) * size]
        good = [each for each in here if each.sequence in ("MKT", "mk")]
        assert window.records == len(here)
        assert [each.id for each in window.kept] == [each.id for each in good]
        assert [each.sequence for each in window.kept] == [each.sequence.upper() for each in good]
        assert [each.id for each in window.rejects] == [
            each.id for each in here if each not in good
        ]
        lower = 2 * sum(each.sequence == "mk" for each in good)
        assert window.fixes == Counter({"lower_case": lower} if lower else {})


def test_a_window_that_stands_is_counted_and_not_cleaned(make_embedder: MakeEmbedder) -> None:
    embedder = make_embedder()
    cleaned: list[str] = []
    clean = embedder.clean

    def watched(text: str) -> Cleaned:
        cleaned.append(text)
        result: Cleaned = clean(text)
        return result

    embedder.clean = watched
    records = iter([Record(f"r{n}", "M" * n, n) for n in range(1, 6)])
    first, second, third = clean_windows(records, 2, embedder, standing={0, 2})
    assert (first.records, first.kept, third.records) == (2, (), 1)
    assert [each.id for each in second.kept] == ["r3", "r4"]
    assert cleaned == ["MMM", "MMMM"]
