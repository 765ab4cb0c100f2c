"""One suite over every embedder, runtime and dtype that can be had without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedders import (
    CHECKPOINTS,
    RUNTIMES,
    Embedder,
    Modality,
    RejectedSequence,
    Truncation,
    load,
)

MINI = [name for name, row in CHECKPOINTS.items() if row.bundled]
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Case:
    """One embedder to be examined."""

    name: str
    runtime: str
    dtype: str
    weights: str | None = None
    layers: int | None = None
    attention: str | None = None

    def load(self, dna_folder: Path, truncation: Truncation = Truncation.TRUNCATE) -> Embedder:
        """Load it on the CPU."""
        return load(
            self.name,
            runtime=self.runtime,
            weights=str(dna_folder) if self.name == "dnabert-s" else self.weights,
            dtype=None if self.name == "kmer4" else self.dtype,
            layers=self.layers,
            attention=self.attention,
            device="cpu",
            truncation=truncation,
        )

    def __str__(self) -> str:
        parts = (self.name, self.weights, self.runtime, self.attention, self.dtype)
        return "-".join(part for part in parts if part)


CASES = [
    *(
        Case("esm2-8m", runtime, dtype, weights="random:7", layers=2)
        for runtime, dtype in product(RUNTIMES, DTYPES)
    ),
    Case("esm2-8m", "huggingface", "float32", weights="random:7", layers=2, attention="eager"),
    *(Case(name, runtime, dtype) for name, runtime, dtype in product(MINI, RUNTIMES, DTYPES)),
    *(Case("dnabert-s", "huggingface", dtype) for dtype in DTYPES),
    Case("kmer4", "numpy", "float32"),
]
PROTEIN_CASES = [case for case in CASES if case.name not in ("dnabert-s", "kmer4")]
PROTEINS = st.text("ACDEFGHIKLMNPQRSTVWYBZXUO", min_size=1, max_size=40)
# a vector of frequencies needs four nucleotides in a row
NUCLEOTIDES = st.text("ACGT", min_size=4, max_size=60)

_Similar = Callable[[torch.Tensor, torch.Tensor], bool]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    # models this small only lose by sharing their work out
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


@pytest.fixture(scope="module")
def embedder(case: Case, dna_folder: Path) -> Embedder:
    return case.load(dna_folder)


@pytest.fixture(scope="module")
def sequences(embedder: Embedder) -> list[str]:
    """Sequences of unlike lengths, in no order."""
    letters = "MKTAYIAKQRQISFVKSHFSRQBZXUOLEERLGLIEVQ"
    if embedder.spec.modality is Modality.NUCLEOTIDE:
        letters = "ACGGTTAACCGATTGCANTTAGGCGCGATATCCAGTA"
    return [(letters * 3)[:length] for length in (30, 4, 90, 11, 30, 57)]


def _similar(case: Case) -> _Similar:
    if case.dtype == "float32":
        return lambda one, other: bool((one - other).abs().max() <= 1e-5)
    return lambda one, other: bool(torch.cosine_similarity(one, other).min() >= 0.999)


def test_vectors_are_float32_rows_of_the_promised_width(
    embedder: Embedder, sequences: list[str]
) -> None:
    matrix = embedder.embed(sequences)
    assert matrix.shape == (len(sequences), embedder.spec.width)
    assert matrix.dtype == torch.float32
    assert matrix.device.type == "cpu"
    assert torch.isfinite(matrix).all()
    assert not matrix.requires_grad


def test_spec_says_what_was_asked_for(case: Case, embedder: Embedder) -> None:
    spec = embedder.spec
    assert (spec.name, spec.runtime, spec.dtype, spec.device) == (
        case.name,
        case.runtime,
        case.dtype,
        "cpu",
    )
    assert spec.cleaning_policy
    assert dict(spec.versions).keys() & {"torch", "numpy"}
    if case.name != "dnabert-s":
        assert spec.width == CHECKPOINTS[case.name].width


def test_no_sequences_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.spec.width)


def test_the_shortest_sequence_has_a_vector(case: Case, embedder: Embedder) -> None:
    shortest = "ACGT" if case.name == "kmer4" else "A"
    assert torch.isfinite(embedder.embed([shortest])).all()


def test_each_vector_is_that_of_the_sequence_alone(
    case: Case, embedder: Embedder, sequences: list[str]
) -> None:
    together = embedder.embed(sequences)
    alone = torch.cat([embedder.embed([sequence]) for sequence in sequences])
    assert _similar(case)(together, alone)


@pytest.mark.parametrize("tokens_per_batch", [1, 64, 100_000])
def test_the_token_budget_has_no_influence(
    case: Case, embedder: Embedder, sequences: list[str], tokens_per_batch: int
) -> None:
    expected = embedder.embed(sequences)
    found = embedder.embed(sequences, tokens_per_batch=tokens_per_batch)
    assert _similar(case)(found, expected)


def test_unlike_sequences_have_unlike_vectors(embedder: Embedder, sequences: list[str]) -> None:
    matrix = embedder.embed(sequences)
    assert torch.equal(matrix[0], matrix[4])  # the same sequence twice
    assert (matrix[0] - matrix[2]).abs().max() > 1e-4


def test_cleaning_happens_before_embedding(
    case: Case, embedder: Embedder, sequences: list[str]
) -> None:
    messy = [f" {sequence[:3].lower()}{sequence[3:]}\r\n" for sequence in sequences]
    assert _similar(case)(embedder.embed(messy), embedder.embed(sequences))
    assert embedder.clean(messy[0]).fixes["lower_case"] == 3


def test_a_rejected_sequence_is_named_by_its_index(
    embedder: Embedder, sequences: list[str]
) -> None:
    with pytest.raises(RejectedSequence, match="sequence 2: "):
        embedder.embed([*sequences[:2], "AC1GT"])


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_neither_order_nor_batch_mates_matter(
    case: Case, embedder: Embedder, data: st.DataObject
) -> None:
    protein = embedder.spec.modality is Modality.PROTEIN
    one = data.draw(PROTEINS if protein else NUCLEOTIDES)
    mates = data.draw(st.lists(PROTEINS if protein else NUCLEOTIDES, max_size=4))
    order = data.draw(st.permutations([one, *mates]))
    found = embedder.embed(order, tokens_per_batch=data.draw(st.sampled_from([50, 4096])))
    expected = embedder.embed([one])
    place = order.index(one)
    assert _similar(case)(found[place : place + 1], expected)


@pytest.mark.parametrize("case_here", PROTEIN_CASES, ids=str)
def test_truncate_is_the_sequence_cut_at_the_window(case_here: Case, dna_folder: Path) -> None:
    long = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQA" * 31
    assert len(long) > 1024
    embedder = case_here.load(dna_folder, truncation=Truncation.TRUNCATE)
    assert _similar(case_here)(embedder.embed([long]), embedder.embed([long[:1024]]))


@pytest.mark.parametrize("case_here", PROTEIN_CASES, ids=str)
def test_legacy_pools_the_window_of_the_whole_sequence(case_here: Case, dna_folder: Path) -> None:
    long = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQA" * 31
    legacy = case_here.load(dna_folder, truncation=Truncation.LEGACY)
    assert legacy.spec.truncation is Truncation.LEGACY
    found = legacy.embed([long, "MKTAYIAKQR"])
    cut = case_here.load(dna_folder).embed([long[:1024], "MKTAYIAKQR"])
    similar = _similar(case_here)
    assert similar(found[1:], cut[1:])
    if case_here.dtype == "float32":
        # what lies beyond the window is seen by attention, so the vector is another one
        assert not torch.equal(found[0], cut[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_runtimes_agree_on_the_same_random_weights(dtype: str) -> None:
    sequences = ["M", "MKTAYIAKQRQISFVKSHFSRQ", "ACDEFGHIKLMNPQRSTVWYBZXUO" * 4]
    matrices = [
        load(
            "esm2-8m", weights="random:3", layers=2, runtime=runtime, dtype=dtype, device="cpu"
        ).embed(sequences)
        for runtime in RUNTIMES
    ]
    for matrix in matrices[1:]:
        if dtype == "float32":
            torch.testing.assert_close(matrix, matrices[0], atol=1e-5, rtol=0)
        else:
            assert torch.cosine_similarity(matrix, matrices[0]).min() >= 0.999


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_a_gpu_gives_the_vectors_of_the_cpu(esm_folder: Path, runtime: str, dtype: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    sequences = ["M", "MKTAYIAKQRQISFVKSHFSRQ", "ACDEFGHIKLMNPQRSTVWYBZXUO" * 4]
    weights = str(esm_folder)
    expected = load("esm2-8m", weights=weights, runtime=runtime, device="cpu").embed(sequences)
    embedder = load("esm2-8m", weights=weights, runtime=runtime, dtype=dtype, device="cuda")
    found = embedder.embed(sequences)
    assert embedder.spec.device == "cuda"
    assert torch.cosine_similarity(found, expected).min() >= 0.999
    if dtype == "float32":
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
