"""The search for a token budget, on an embedder whose speed is a rule and whose clock is ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import harness.features.budget
from embedders.contract import DEFAULT_TOKENS_PER_BATCH, Cleaned, EmbedderSpec, Truncation
from harness.features import Worker
from harness.features.budget import (
    GAIN,
    LARGEST,
    SAMPLE,
    SHARE,
    SMALLEST,
    draw_sample,
    find_budget,
)
from harness.features.errors import EmbedderBroken, WorkerHung, WorkerOutOfMemory
from harness.features.fasta import Record
from harness.features.remembered import Remembered, Setting, Tried, remember
from tests.harness.features.broken_embedders import SPEC, BrokenEmbedder

MakeEmbedder = Callable[..., Any]
PLENTY = 50_000  # records of 60 residues that the toy's window cuts to 50: 2.6 million tokens
WINDOW = 50
OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMBEDDER_MIGRATION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


Fail = Callable[[Sequence[str], int], None]


def never(_sequences: Sequence[str], _budget: int) -> None:
    """Let every batch pass."""


@dataclass
class Ruled:
    """An embedder that takes ``seconds(budget)`` for a token, by a clock of its own."""

    inner: Any
    seconds: Callable[[int], float]
    fail: Fail = never
    now: float = 0.0
    tokens: int = 0
    asked: list[tuple[int, list[int]]] = field(default_factory=list)

    @property
    def spec(self) -> EmbedderSpec:
        spec: EmbedderSpec = self.inner.spec
        return spec

    def clean(self, sequence: str) -> Cleaned:
        cleaned: Cleaned = self.inner.clean(sequence)
        return cleaned

    def embed(self, sequences: Sequence[str], *, tokens_per_batch: int = 4096) -> torch.Tensor:
        self.asked.append((tokens_per_batch, [len(each) for each in sequences]))
        self.fail(sequences, tokens_per_batch)
        tokens = sum(len(each) + 2 for each in sequences)
        self.tokens += tokens
        self.now += tokens * self.seconds(tokens_per_batch)
        vectors: torch.Tensor = self.inner.embed(sequences, tokens_per_batch=tokens_per_batch)
        return vectors


Rule = Callable[..., Ruled]


@pytest.fixture
def ruled(make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch) -> Rule:
    def make(seconds: Callable[[int], float], fail: Fail = never) -> Ruled:
        embedder = Ruled(make_embedder(), seconds, fail)
        clock = SimpleNamespace(perf_counter=lambda: embedder.now)
        monkeypatch.setattr(harness.features.budget, "time", clock)
        return embedder

    return make


def records(count: int, residues: int = 60) -> Iterator[Record]:
    return (Record(f"r{n}", "M" * residues, n) for n in range(1, count + 1))


def full_from(budget: int) -> Callable[[int], float]:
    """Seconds per token of a device that is busy from this budget on."""
    return lambda asked: 1e-6 * max(1.0, budget / asked)


@pytest.mark.parametrize("full", [SMALLEST, 4096, 16384])
def test_the_smallest_budget_that_keeps_the_device_busy_is_taken(ruled: Rule, full: int) -> None:
    embedder = ruled(full_from(full))
    found = find_budget(records(PLENTY), PLENTY, embedder)
    assert found.tokens_per_batch == full
    tried = [each.tokens_per_batch for each in found.tried]
    assert tried == [SMALLEST << step for step in range(len(tried))]
    assert tried[-1] == 2 * full  # one more shows that nothing is gained
    assert found.tried[-1].tokens_per_s == pytest.approx(1e6)
    (told,) = found.sentences()
    assert told.startswith(f"{full:,} tokens per batch: {2 * full:,} gained less than 3% (1,024 ")
    assert found.details()["taken"] == full


@pytest.mark.parametrize(("gain", "goes_on"), [(GAIN - 0.005, False), (GAIN + 0.005, True)])
def test_doubling_goes_on_while_it_gains_three_percent(
    ruled: Rule, gain: float, goes_on: bool
) -> None:
    def seconds(budget: int) -> float:
        return 1e-6 if budget == SMALLEST else 1e-6 / gain

    found = find_budget(records(PLENTY), PLENTY, ruled(seconds))
    assert found.tokens_per_batch == (2 * SMALLEST if goes_on else SMALLEST)


def test_a_hiccup_of_the_machine_does_not_end_the_search(ruled: Rule) -> None:
    rule = full_from(16384)
    met: list[int] = []

    def seconds(budget: int) -> float:
        met.append(budget)
        return rule(budget) * (5 if budget == 4096 and met.count(budget) < 3 else 1)

    found = find_budget(records(PLENTY), PLENTY, ruled(seconds))
    assert found.tokens_per_batch == 16384


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError(OUT_OF_MEMORY), WorkerOutOfMemory("killed")]
)
def test_out_of_memory_ends_it_at_half_of_what_failed(ruled: Rule, error: Exception) -> None:
    def fail(_: Sequence[str], budget: int) -> None:
        if budget > 8192:
            raise error

    found = find_budget(records(PLENTY), PLENTY, ruled(full_from(LARGEST), fail=fail))
    assert found.tokens_per_batch == 8192
    assert found.why == "memory runs out on cpu with 16,384"


def test_a_budget_has_to_hold_copies_of_the_longest_sequence_alone(ruled: Rule) -> None:
    embedder = ruled(full_from(LARGEST))
    short = list(records(PLENTY, residues=10))
    short[777] = Record("long", "K" * 40, 778)
    find_budget(iter(short), PLENTY, embedder)
    first: dict[int, list[int]] = {}
    for budget, lengths in embedder.asked:
        first.setdefault(budget, lengths)
    assert len(first) > 3
    for budget, lengths in first.items():
        assert lengths == [40] * (budget // 42)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyError("J"), "a batch of 4,096 failed (KeyError)"),
        (WorkerHung("hung"), "a batch of 4,096 did not come back in time"),
    ],
)
def test_what_another_failure_leaves_is_the_best_so_far_and_is_not_remembered(
    ruled: Rule, cache: Path, error: Exception, why: str
) -> None:
    def fail(_: Sequence[str], budget: int) -> None:
        if budget == 4096:
            raise error

    found = find_budget(records(PLENTY), PLENTY, ruled(full_from(LARGEST), fail=fail))
    assert (found.tokens_per_batch, found.why) == (2048, why)
    assert not cache.exists()


def test_where_nothing_fits_the_default_is_left_to_the_run(ruled: Rule, cache: Path) -> None:
    def fail(_sequences: Sequence[str], _budget: int) -> None:
        raise torch.OutOfMemoryError(OUT_OF_MEMORY)

    found = find_budget(records(PLENTY), PLENTY, ruled(full_from(LARGEST), fail=fail))
    assert (found.tokens_per_batch, found.tried) == (DEFAULT_TOKENS_PER_BATCH, ())
    assert found.why == "the default, for memory runs out on cpu with 1,024"
    assert not cache.exists()


def test_a_worker_that_cannot_be_started_again_ends_the_run(ruled: Rule) -> None:
    def fail(_sequences: Sequence[str], _budget: int) -> None:
        raise EmbedderBroken("the worker came back with another embedder")

    with pytest.raises(EmbedderBroken, match="came back"):
        find_budget(records(PLENTY), PLENTY, ruled(full_from(LARGEST), fail=fail))


@given(count=st.integers(1, 30_000), residues=st.integers(1, 120), pads=st.booleans())
def test_no_search_embeds_more_than_its_share_of_the_input(
    make_embedder: MakeEmbedder, count: int, residues: int, pads: bool
) -> None:
    embedder = Ruled(make_embedder(name=f"toy-{count}", pads=pads), full_from(LARGEST))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            harness.features.budget, "time", SimpleNamespace(perf_counter=lambda: embedder.now)
        )
        patch.setattr(harness.features.budget, "remember", lambda _: None)
        patch.setattr(harness.features.budget, "recall", lambda _: None)
        found = find_budget(records(count, residues), count, embedder)
    assert embedder.tokens <= SHARE * count * (min(residues, WINDOW) + 2)
    # a search that cannot go beyond the default is not begun
    assert not found.tried or found.tried[-1].tokens_per_batch > DEFAULT_TOKENS_PER_BATCH


def test_an_input_too_small_for_a_search_gets_the_default_and_is_told(
    ruled: Rule, cache: Path
) -> None:
    embedder = ruled(full_from(LARGEST))
    found = find_budget(records(1000), 1000, embedder)
    assert embedder.asked == []
    assert found.sentences() == (
        "4,096 tokens per batch: the default, for the input is too small to look for a better one",
    )
    assert not cache.exists()


def test_a_search_that_the_input_cuts_short_is_not_remembered(ruled: Rule, cache: Path) -> None:
    count = 20_000  # 1,040,000 tokens: a tenth is not enough for 16,384 or more
    found = find_budget(records(count), count, ruled(full_from(LARGEST)))
    assert found.tokens_per_batch == found.tried[-1].tokens_per_batch < LARGEST
    assert found.why == f"the input is too small to try {2 * found.tokens_per_batch:,}"
    assert not cache.exists()


def test_what_was_found_is_taken_again_without_a_search_on_any_input(
    ruled: Rule, cache: Path
) -> None:
    first = find_budget(records(PLENTY), PLENTY, ruled(full_from(8192)))
    (path,) = (cache / "token-budgets").iterdir()
    embedder = ruled(full_from(8192))
    again = find_budget(iter(()), 1, embedder)
    assert embedder.asked == []
    assert (again.tokens_per_batch, again.tried) == (8192, first.tried)
    assert again.why == f"found by an earlier run and remembered in {path}"
    assert again.troubles == ()


def test_another_setting_has_a_file_of_its_own(
    ruled: Rule, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = ruled(full_from(8192))
    spec = embedder.spec
    others = [
        spec,
        replace(spec, name="other"),
        replace(spec, runtime="packed"),
        replace(spec, attention="flash"),
        replace(spec, dtype="bfloat16"),
        replace(spec, truncation=Truncation.LEGACY),
        replace(spec, weights=replace(spec.weights, sha256="1" * 64)),
        replace(spec, versions=(("toy", "2"),)),
    ]
    paths = {Setting.of(other).path for other in others}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    paths.add(Setting.of(spec).path)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    paths.add(Setting.of(replace(spec, device="cuda:1")).path)
    assert len(paths) == len(others) + 2
    assert {path.parent for path in paths} == {cache / "token-budgets"}


def damaged(text: str) -> list[str]:
    document = json.loads(text)
    elsewhere = document | {"setting": document["setting"] | {"device": "an abacus"}}
    return [
        "",
        "{",
        "\udcff",
        text.replace("token-budget/1", "token-budget/0"),
        json.dumps(document | {"tokens_per_batch": 4097}),
        json.dumps(document | {"tokens_per_batch": "8192"}),
        json.dumps(document | {"tried": []}),
        json.dumps(document | {"note": "mine"}),
        json.dumps(elsewhere),
    ]


def test_a_damaged_file_is_told_ignored_and_replaced(ruled: Rule, cache: Path) -> None:
    find_budget(records(PLENTY), PLENTY, ruled(full_from(8192)))
    (path,) = (cache / "token-budgets").iterdir()
    good = path.read_text("utf-8")
    for bad in damaged(good):
        path.write_bytes(bad.encode("utf-8", "surrogateescape"))
        found = find_budget(records(PLENTY), PLENTY, ruled(full_from(8192)))
        assert found.tokens_per_batch == 8192
        assert str(path) in found.sentences()[0]
        assert found.details()["troubles"] == list(found.troubles)
        assert path.read_text("utf-8") == good


def test_a_cache_that_cannot_be_read_or_written_is_told_and_not_fatal(
    ruled: Rule, cache: Path
) -> None:
    cache.write_text("a file, where a folder is wanted")
    found = find_budget(records(PLENTY), PLENTY, ruled(full_from(8192)))
    assert found.tokens_per_batch == 8192
    assert "cannot be written" in found.troubles[0]
    cache.unlink()
    path = Setting.of(ruled(full_from(1)).spec).path
    path.mkdir(parents=True)
    found = find_budget(records(PLENTY), PLENTY, ruled(full_from(8192)))
    assert [str(path) in trouble for trouble in found.troubles] == [True, True]


@given(lengths=st.lists(st.integers(0, 5000), min_size=1, max_size=2000), legacy=st.booleans())
def test_a_sample_spans_the_input_in_even_steps_and_stays_small(
    make_embedder: MakeEmbedder, lengths: list[int], legacy: bool
) -> None:
    truncation = Truncation.LEGACY if legacy else Truncation.TRUNCATE
    embedder = make_embedder(truncation=truncation)
    entering = [each if legacy else min(each, WINDOW) for each in lengths]
    drawn = draw_sample(
        (Record(f"r{n}", "M" * each, n) for n, each in enumerate(lengths, start=1)),
        len(lengths),
        embedder,
    )
    fit = [each for each in entering if 0 < each <= DEFAULT_TOKENS_PER_BATCH - 2]
    step = -(-len(lengths) // SAMPLE)
    even = [each for each in entering[::step] if 0 < each <= DEFAULT_TOKENS_PER_BATCH - 2]
    wanted = sorted([max(fit), *even] if fit else [], reverse=True)
    assert [len(each) for each in drawn.residues] == wanted
    assert len(drawn.residues) <= SAMPLE + 1
    assert drawn.tokens == sum(each + 2 for each in entering)


def test_a_real_worker_that_is_killed_for_memory_ends_the_search_and_serves_on() -> None:
    count = 100_000
    kills = (Record(f"r{n}", "KILL", n) for n in range(1, count + 1))
    with Worker(BrokenEmbedder) as worker:
        found = find_budget(kills, count, worker)
        assert found.tokens_per_batch == DEFAULT_TOKENS_PER_BATCH
        assert found.why == "the default, for memory runs out on cpu with 1,024"
        assert "signal 9" in worker.take_events()[0]
        assert worker.embed(["M"])[0, 0] == 1


def test_a_remembered_budget_was_tried(cache: Path) -> None:
    del cache
    with pytest.raises(ValueError, match="8192 was never tried"):
        remember(Remembered(Setting.of(SPEC), 8192, (Tried(4096, 1.0),)))
