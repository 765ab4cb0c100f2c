"""The one suite, over every embedder, runtime and dtype that can be had without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedders import (
    CHECKPOINTS,
    RUNTIMES,
    Checkpoint,
    Embedder,
    Modality,
    Truncation,
    load,
)
from embedders.conformance import EmbedderConformance, Loader
from embedders.contract import WHOLE_SEQUENCE
from tests.embedders.tiny import ROWS, load_tiny

MINI = [name for name, row in CHECKPOINTS.items() if row.bundled]
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Case:
    """One embedder to be examined; ``tiny`` is a family of which a narrow one is taken."""

    name: str
    runtime: str
    dtype: str
    weights: str | None = None
    layers: int | None = None
    attention: str | None = None
    tiny: str | None = None

    def loader(self, dna_folder: Path) -> Loader:
        """Return what loads it on the CPU."""
        if self.tiny is not None:
            return partial(
                load_tiny,
                self.tiny,
                runtime=self.runtime,
                dtype=self.dtype,
                attention=self.attention,
            )
        return partial(
            load,
            self.name,
            runtime=self.runtime,
            weights=str(dna_folder) if self.name == "dnabert-s" else self.weights,
            dtype=None if self.name == "kmer4" else self.dtype,
            layers=self.layers,
            attention=self.attention,
            device="cpu",
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
    *(
        Case(row.name, runtime, dtype, tiny=family)
        for (family, row), runtime, dtype in product(
            ROWS.items(), ("huggingface", "reference"), DTYPES
        )
    ),
    *(
        Case(row.name, "huggingface", "float32", attention="eager", tiny=family)
        for family, row in ROWS.items()
    ),
    *(Case("dnabert-s", "huggingface", dtype) for dtype in DTYPES),
    Case("kmer4", "numpy", "float32"),
]
ATTENTIVE = [case for case in CASES if case.name not in ("dnabert-s", "kmer4")]
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


class TestEveryEmbedder(EmbedderConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def loader(cls, case: Case, dna_folder: Path) -> Loader:
        return case.loader(dna_folder)

    @pytest.fixture(scope="class")
    @classmethod
    def row(cls, case: Case) -> Checkpoint | None:
        if case.tiny is not None:
            return ROWS[case.tiny]
        return None if case.name == "dnabert-s" else CHECKPOINTS[case.name]

    def test_spec_says_what_was_asked_for(self, case: Case, embedder: Embedder) -> None:
        spec = embedder.spec
        assert (spec.name, spec.runtime, spec.dtype) == (case.name, case.runtime, case.dtype)
        assert dict(spec.versions).keys() & {"torch", "numpy"}

    @settings(
        max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(data=st.data())
    def test_no_order_and_no_batch_mate_matters(
        self, case: Case, embedder: Embedder, data: st.DataObject
    ) -> None:
        protein = embedder.spec.modality is Modality.PROTEIN
        one = data.draw(PROTEINS if protein else NUCLEOTIDES)
        mates = data.draw(st.lists(PROTEINS if protein else NUCLEOTIDES, max_size=4))
        order = data.draw(st.permutations([one, *mates]))
        found = embedder.embed(order, tokens_per_batch=data.draw(st.sampled_from([50, 4096])))
        expected = embedder.embed([one])
        place = order.index(one)
        assert _similar(case)(found[place : place + 1], expected)


def _similar(case: Case) -> _Similar:
    if case.dtype == "float32":
        return lambda one, other: bool((one - other).abs().max() <= 1e-5)
    return lambda one, other: bool(torch.cosine_similarity(one, other).min() >= 0.999)


def test_every_built_in_embedder_is_examined() -> None:
    examined = {case.name for case in CASES}
    families = {CHECKPOINTS[name].family for name in examined}
    assert {row.family for row in CHECKPOINTS.values()} == families


@pytest.mark.parametrize("case_here", ATTENTIVE, ids=str)
def test_legacy_lets_residues_beyond_the_window_be_attended_to(
    case_here: Case, dna_folder: Path
) -> None:
    long = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQA" * 31
    loader = case_here.loader(dna_folder)
    found = loader(truncation=Truncation.LEGACY).embed([long])
    cut = loader().embed([long[:1024]])
    if case_here.dtype == "float32":
        # what lies beyond the window is seen by attention, so the vector is another one
        assert not torch.equal(found, cut)
    assert torch.cosine_similarity(found, cut).min() > 0.5


def test_nucleotides_have_no_window() -> None:
    assert load("kmer4").spec.window_residues == WHOLE_SEQUENCE


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
