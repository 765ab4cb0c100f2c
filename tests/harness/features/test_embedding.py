"""A window's vectors stand, whatever a batch or a record does to the embedder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.features.embedding
from embedders import load
from embedders.alphabet import clean_protein
from embedders.batching import plan_batches
from embedders.contract import Cleaned, Embedder, EmbedderSpec, Modality, Truncation
from embedders.errors import InputError, RejectedSequence
from harness.features.embedding import Embedded, embed_rows, is_out_of_memory
from harness.features.errors import EmbedderBroken, WorkerFailed, WorkerHung, WorkerOutOfMemory

WINDOW = 50  # of the toy embedder
CONTROL_RESIDUES = 22
OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB"

Vector = Callable[[str], list[float]]
MakeEmbedder = Callable[..., Embedder]
# a motif over and over, so that long sequences are as frequent as short ones
SEQUENCES = st.lists(
    st.builds(
        lambda motif, length: (motif * 80)[:length],
        st.text("ACDEFGHIKLMNPQRSTVWY", min_size=1, max_size=6),
        st.integers(1, 80),
    ),
    max_size=25,
)


@pytest.fixture(autouse=True, scope="module")
def no_full_collections() -> Iterator[None]:
    """Thousands of failures, each with a collection of all that pytest holds, take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness.features.embedding, "gc", SimpleNamespace(collect=lambda: 0))
        yield


class Moody:
    """A toy embedder behind a mood, which sees each batch first and may raise."""

    def __init__(self, inner: Embedder, mood: Callable[[Sequence[str]], None]) -> None:
        self.inner = inner
        self.mood = mood
        self.asked: list[list[str]] = []
        self.budgets: list[int] = []

    @property
    def spec(self) -> EmbedderSpec:
        return self.inner.spec

    def clean(self, sequence: str) -> Cleaned:
        return self.inner.clean(sequence)

    def embed(self, sequences: Sequence[str], *, tokens_per_batch: int = 4096) -> torch.Tensor:
        self.asked.append(list(sequences))
        self.budgets.append(tokens_per_batch)
        self.mood(sequences)
        return self.inner.embed(sequences, tokens_per_batch=tokens_per_batch)


def cost(sequences: Sequence[str]) -> int:
    """Tokens of a padded batch, BOS and EOS included."""
    return len(sequences) * (min(max(map(len, sequences)), WINDOW) + 2)


def room_for(tokens: int) -> Callable[[Sequence[str]], None]:
    def mood(sequences: Sequence[str]) -> None:
        if cost(sequences) > tokens:
            raise torch.OutOfMemoryError(OUT_OF_MEMORY)

    return mood


def poisoned_by(letter: str, error: Exception) -> Callable[[Sequence[str]], None]:
    def mood(sequences: Sequence[str]) -> None:
        if any(letter in each for each in sequences):
            raise error

    return mood


def check(found: Embedded, residues: Sequence[str], vector_of: Vector, lost: set[int]) -> None:
    """The vectors of all but the lost ones, in input order."""
    kept = [row for row in range(len(residues)) if row not in lost]
    assert found.rows == tuple(kept)
    assert set(found.refused) == lost
    assert found.matrix.dtype == torch.float32
    assert found.matrix.tolist() == [vector_of(residues[row]) for row in kept]


@given(residues=SEQUENCES, budget=st.integers(1, 300), legacy=st.booleans(), pads=st.booleans())
def test_without_a_failure_the_batches_are_exactly_those_planned(
    make_embedder: MakeEmbedder,
    vector_of: Vector,
    residues: list[str],
    budget: int,
    legacy: bool,
    pads: bool,
) -> None:
    truncation = Truncation.LEGACY if legacy else Truncation.TRUNCATE
    embedder = Moody(make_embedder(truncation=truncation, pads=pads), lambda _: None)
    found = embed_rows(residues, embedder, budget)
    entering = [len(each) if legacy else min(len(each), WINDOW) for each in residues]
    batches = plan_batches(entering, budget, pads=pads)
    planned = [[residues[row] for row in batch] for batch in batches]
    assert embedder.asked == planned
    assert set(embedder.budgets) <= {budget}
    check(found, residues, vector_of, set())
    assert found.events == ()
    assert found.tokens_per_batch == budget


@settings(max_examples=50, deadline=None)
@given(residues=SEQUENCES, budget=st.integers(1, 800), room=st.integers(CONTROL_RESIDUES + 2, 200))
def test_out_of_memory_loses_only_what_alone_does_not_fit_and_keeps_the_order(
    make_embedder: MakeEmbedder, vector_of: Vector, residues: list[str], budget: int, room: int
) -> None:
    embedder = Moody(make_embedder(), room_for(room))
    found = embed_rows(residues, embedder, budget)
    lost = {row for row, each in enumerate(residues) if cost([each]) > room}
    check(found, residues, vector_of, lost)
    for row in lost:
        assert f"{len(residues[row]):,} residues alone" in found.refused[row]
        assert "cpu" in found.refused[row]
    assert embedder.budgets == sorted(embedder.budgets, reverse=True)
    assert found.tokens_per_batch <= budget
    failed = [each for each in embedder.asked if len(each) > 1 and cost(each) > room]
    assert len(found.events) == len(failed) + len(lost)
    # a budget is half of what the last batch of several cost that failed
    assert found.tokens_per_batch == (min(cost(failed[-1]) // 2, budget) if failed else budget)


def test_without_padding_a_failed_batch_costs_the_tokens_in_it(
    make_embedder: MakeEmbedder, vector_of: Vector
) -> None:
    def most_two(sequences: Sequence[str]) -> None:
        if len(sequences) > 2:
            raise torch.OutOfMemoryError(OUT_OF_MEMORY)

    residues = ["A" * 40, "C" * 10, "D" * 4]
    found = embed_rows(residues, Moody(make_embedder(pads=False), most_two), 1000)
    check(found, residues, vector_of, set())
    assert "in a batch of 3 sequences (60 tokens)" in found.events[0]  # 42 + 12 + 6
    assert found.tokens_per_batch == 30


def test_a_long_sequence_alone_does_not_shrink_the_budget_of_the_short_ones_behind_it(
    make_embedder: MakeEmbedder, vector_of: Vector
) -> None:
    embedder = Moody(
        make_embedder(truncation=Truncation.LEGACY),
        lambda batch: room_for(40)(batch) if max(map(len, batch)) > WINDOW else None,
    )
    residues = ["A" * 10, "C" * 70, "D" * 10, "E" * 60]
    found = embed_rows(residues, embedder, 48)
    check(found, residues, vector_of, {1, 3})
    assert found.tokens_per_batch == 48
    assert embedder.asked[-1] == ["A" * 10, "D" * 10]
    assert found.refused[1] == (
        "memory runs out on cpu for its 70 residues alone; use --truncation truncate or a device "
        "with more memory"
    )


@given(residues=SEQUENCES, budget=st.integers(1, 800))
def test_only_the_records_at_fault_are_lost(
    make_embedder: MakeEmbedder, vector_of: Vector, residues: list[str], budget: int
) -> None:
    embedder = Moody(make_embedder(), poisoned_by("W", KeyError("W")))
    found = embed_rows(residues, embedder, budget)
    lost = {row for row, each in enumerate(residues) if "W" in each}
    check(found, residues, vector_of, lost)
    assert set(found.refused.values()) <= {"the embedder fails on it: KeyError: 'W'"}
    assert found.tokens_per_batch == budget


@settings(max_examples=50, deadline=None)
@given(residues=SEQUENCES, room=st.integers(CONTROL_RESIDUES + 2, 200))
def test_poison_and_too_little_memory_at_once_are_told_apart(
    make_embedder: MakeEmbedder, vector_of: Vector, residues: list[str], room: int
) -> None:
    def mood(sequences: Sequence[str]) -> None:
        room_for(room)(sequences)
        poisoned_by("W", ValueError("no W please"))(sequences)

    found = embed_rows(residues, Moody(make_embedder(), mood), 1000)
    large = {row for row, each in enumerate(residues) if cost([each]) > room}
    poison = {row for row, each in enumerate(residues) if "W" in each}
    check(found, residues, vector_of, large | poison)
    assert {row for row, why in found.refused.items() if "memory" in why} == large


def test_a_batch_is_halved_once_in_the_report_and_each_lost_record_is_named(
    make_embedder: MakeEmbedder,
) -> None:
    embedder = Moody(make_embedder(), poisoned_by("W", RuntimeError("bad W\nat line 3")))
    found = embed_rows(["AW", *["ACD"] * 9], embedder, 1000)
    assert found.events == (
        "a batch of 10 sequences failed and was embedded in halves (RuntimeError: bad W)",
        "a sequence of 2 residues was left out (the embedder fails on it: RuntimeError: bad W)",
    )


def test_the_reason_is_the_first_line_of_the_error_cut_to_a_sane_length(
    make_embedder: MakeEmbedder,
) -> None:
    for error, reason in (
        (RejectedSequence("sequence 0: 600 tokens are too many"), "600 tokens are too many"),
        (WorkerFailed("the worker ended"), "the embedder fails on it: the worker ended"),
        (IndexError(), "the embedder fails on it: IndexError: "),
        (ValueError("x" * 1000 + "\ny"), "the embedder fails on it: ValueError: xxx"),
    ):
        found = embed_rows(["AW"], Moody(make_embedder(), poisoned_by("W", error)), 100)
        assert found.refused[0].startswith(reason)
        assert len(found.refused[0]) < 250
        assert "\n" not in found.refused[0]


def test_a_real_embedder_refuses_in_its_own_words() -> None:
    residues = ["ACGTACGT", "NNNN", "ACGTT"]
    embedder = load("kmer4")
    found = embed_rows(residues, embedder, 1000)
    assert found.rows == (0, 2)
    assert found.refused == {1: "no 4 unambiguous nucleotides in a row among 4"}
    assert torch.equal(found.matrix, embedder.embed(["ACGTACGT", "ACGTT"]))


def test_a_broken_embedder_refuses_no_record(make_embedder: MakeEmbedder) -> None:
    for error in (
        RuntimeError("CUDA error: device-side assert"),
        RejectedSequence("no vocabulary"),
    ):
        embedder = Moody(make_embedder(), poisoned_by("", error))
        with pytest.raises(EmbedderBroken, match=f"control sequence.*{error}") as broken:
            embed_rows(["ACD", "A", "ACDE"], embedder, 1000)
        assert broken.value.rows == (2,)  # the longest comes first
        assert isinstance(broken.value, InputError)


def test_no_memory_for_anything_refuses_no_record(make_embedder: MakeEmbedder) -> None:
    with pytest.raises(EmbedderBroken, match="CUDA out of memory"):
        embed_rows(["ACD"] * 5, Moody(make_embedder(), room_for(0)), 1000)


def test_an_embedder_that_breaks_on_the_way_says_what_broke_it(
    make_embedder: MakeEmbedder,
) -> None:
    def mood(sequences: Sequence[str]) -> None:
        if embedder.asked[0] == list(sequences):
            raise RuntimeError("device-side assert")
        raise RuntimeError("unspecified launch failure")

    embedder = Moody(make_embedder(), mood)
    with pytest.raises(EmbedderBroken, match=r"device-side assert; .*unspecified launch failure"):
        embed_rows(["ACD"], embedder, 1000)


def test_each_alphabet_has_its_control_sequence(make_embedder: MakeEmbedder) -> None:
    for modality, clean in (
        (Modality.PROTEIN, clean_protein),
        (Modality.NUCLEOTIDE, load("kmer4").clean),
    ):
        embedder = Moody(make_embedder(modality=modality), poisoned_by("B", ValueError("B")))
        embed_rows(["B"], embedder, 100)
        (control,) = embedder.asked[1]
        assert clean(control) == Cleaned(control)


def test_what_fails_once_is_not_lost(make_embedder: MakeEmbedder, vector_of: Vector) -> None:
    def fail_once(error: Exception) -> Callable[[Sequence[str]], None]:
        left: Iterator[Exception] = iter([error])

        def mood(sequences: Sequence[str]) -> None:
            del sequences
            for each in left:
                raise each

        return mood

    for error in (RuntimeError("hiccup"), MemoryError("hiccup")):
        for residues in (["ACD"], ["ACD", "A"]):
            found = embed_rows(residues, Moody(make_embedder(), fail_once(error)), 100)
            check(found, residues, vector_of, set())
            assert len(found.events) == 1


@pytest.mark.parametrize("error", [WorkerHung("hung"), EmbedderBroken("gone"), TypeError("code")])
def test_what_no_record_can_bring_about_ends_the_run_at_once(
    make_embedder: MakeEmbedder, error: Exception
) -> None:
    embedder = Moody(make_embedder(), poisoned_by("", error))
    with pytest.raises(type(error), match=str(error)):
        embed_rows(["ACD", "A"], embedder, 1000)
    assert len(embedder.asked) == 1


@pytest.mark.parametrize(
    "vectors", [torch.zeros(1, 3), torch.zeros(2, 4), torch.zeros(2, 3, dtype=torch.float64)]
)
def test_another_shape_or_dtype_than_promised_is_a_type_error(
    make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch, vectors: torch.Tensor
) -> None:
    embedder = make_embedder()
    monkeypatch.setattr(embedder, "embed", lambda *_, **__: vectors)
    with pytest.raises(TypeError, match=r"float32 \(2, 3\) is promised"):
        embed_rows(["ACD", "A"], embedder, 1000)


@pytest.mark.parametrize(("dtype", "remedy"), [("float32", ""), ("float16", "use bfloat16")])
def test_a_vector_that_is_not_finite_is_refused(
    make_embedder: MakeEmbedder, vector_of: Vector, dtype: str, remedy: str
) -> None:
    residues = ["ACD", "AZ", "C"]  # the toy embedder gives NaN for Z
    found = embed_rows(residues, make_embedder(dtype=dtype), 1000)
    check(found, residues, vector_of, {1})
    assert found.refused[1].startswith("its embedding holds NaN or infinity")
    assert found.refused[1].endswith(remedy)


def test_nothing_in_gives_nothing_out(make_embedder: MakeEmbedder) -> None:
    embedder = Moody(make_embedder(), poisoned_by("", RuntimeError("never asked")))
    found = embed_rows([], embedder, 100)
    assert (found.matrix.shape, found.rows, found.refused) == ((0, 3), (), {})


def test_a_budget_below_one_is_refused(make_embedder: MakeEmbedder) -> None:
    with pytest.raises(InputError, match="tokens_per_batch must be at least 1, not 0"):
        embed_rows([], make_embedder(), 0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError(OUT_OF_MEMORY), True),
        (WorkerOutOfMemory("killed"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be…"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough"),
            False,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (RejectedSequence("a sequence named 'out of memory'"), False),
        (KeyError("not enough memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_the_cache_is_emptied_when_no_tensor_of_the_failed_batch_lives(
    make_embedder: MakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    alive: list[bool] = []

    def mood(sequences: Sequence[str]) -> None:
        activations = torch.zeros(10)
        held.append(weakref.ref(activations))
        room_for(60)(sequences)

    monkeypatch.setattr(
        torch.cuda, "empty_cache", lambda: alive.append(any(each() is not None for each in held))
    )
    embed_rows(["A" * 30] * 4, Moody(make_embedder(), mood), 1000)
    assert alive == [False, False]  # 128 tokens, then 64, then 32


STARVED = """
import json, resource, sys
from pathlib import Path
import torch
from embedders import load
from embedders.alphabet import clean_protein
from harness.features.embedding import embed_rows

torch.set_num_threads(1)
embedder = load(
    "esm2-8m", weights="random", layers=1, device="cpu", truncation="legacy", runtime="fair-esm"
)
residues = [("ACDEFGHIKLMNPQRSTVWY" * 10)[:length] for length in range(100, 200)]
expected = embedder.embed(residues, tokens_per_batch=1024)
# the scores of its attention alone are 20 heads × 20,002² × 4 bytes = 32 GB
residues.insert(7, "M" * 20_000)
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = mapped + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
found = embed_rows(residues, embedder, 1_000_000)
json.dump({
    "rows": found.rows,
    "refused": found.refused,
    "largest_difference": float((found.matrix - expected).abs().max()),
    "tokens_per_batch": found.tokens_per_batch,
    "events": found.events,
}, sys.stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS binds on Linux only")
def test_a_real_lack_of_memory_on_the_cpu_changes_no_vector() -> None:
    child = subprocess.run(
        [sys.executable, "-c", STARVED, "100"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found = json.loads(child.stdout)
    assert found["rows"] == [*range(7), *range(8, 101)]
    assert found["refused"]["7"].startswith("memory runs out on cpu for its 20,000 residues alone")
    assert found["largest_difference"] < 1e-5
    # all hundred at once need 20,100 tokens × 1,280 × 4 bytes = 103 MB for one layer's inside
    assert found["tokens_per_batch"] < 20_100
    halved = "memory ran out on cpu in a batch of 100 sequences (20,100 tokens); from here on"
    assert any(each.startswith(halved) for each in found["events"])


@pytest.mark.gpu
def test_a_real_lack_of_memory_on_a_gpu_changes_no_vector() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    embedder = load("esm2-8m", weights="random", layers=1, device="cuda")
    residues = [("ACDEFGHIKLMNPQRSTVWY" * 13)[: 200 + row % 50] for row in range(4000)]
    expected = embed_rows(residues, embedder, 4096)
    total = torch.cuda.get_device_properties(embedder.spec.device).total_memory
    torch.cuda.empty_cache()
    # a million tokens need 5 GB for the feed-forward layer alone: 10⁶ × 1,280 × 4 bytes
    torch.cuda.set_per_process_memory_fraction(2**30 / total)
    try:
        found = embed_rows(residues, embedder, 2_000_000)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert found.rows == expected.rows
    assert found.tokens_per_batch < 1_000_000
    assert "memory ran out on cuda in a batch of 4,000 sequences" in found.events[0]
    torch.testing.assert_close(found.matrix, expected.matrix, atol=1e-4, rtol=0)
