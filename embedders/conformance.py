"""What every embedder promises, as a suite that anybody can run on theirs.

A package that brings an embedder writes one class into its tests, and runs pytest::

    from embedders.conformance import EmbedderConformance

    class TestAcme(EmbedderConformance):
        name = "acme-x"
        options = {"weights": "random"}

The suite loads it as everybody does, by :func:`embedders.load`, on the CPU. It needs no fixture, no
plug-in of pytest and no network, and changes nothing outside itself.

What it cannot tell is whether the vectors mean anything, or are those of the model that they are
said to be of: a second implementation tells that (``harness audit``).
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar

import pytest
import torch

from embedders.alphabet import CLEANING_POLICIES
from embedders.checkpoints import Checkpoint
from embedders.contract import Embedder, Modality, Truncation
from embedders.errors import RejectedSequence, UnsupportedChoice
from embedders.listing import checkpoint
from embedders.loading import load

FLOAT32_LIMIT = 1e-5
"""Most that a component may differ by where float32 sums are taken in another order, as a part of
the largest one."""
COSINE_LIMIT = 0.999
"""Least cosine of two vectors that half precision rounds otherwise."""

_UNUSUAL_SEED = 5_318_008
"""None that an embedder is likely to set, so that setting it shows."""

Loader = Callable[..., Embedder]
"""Called as ``loader(truncation=…)``."""

_LENGTHS = (30, 4, 90, 11, 30, 57)  # the first and the fifth are the same sequence
_LETTERS = {
    Modality.PROTEIN: "MKTAYIAKQRQISFVKSHFSRQBZXUOLEERLGLIEVQ",
    Modality.NUCLEOTIDE: "ACGGTTAACCGATTGCANTTAGGCGCGATATCCAGTA",
}
_ALPHABET = {Modality.PROTEIN: "ACDEFGHIKLMNPQRSTVWYBZXUO", Modality.NUCLEOTIDE: "ACGT"}
_REFUSED = {
    Modality.PROTEIN: ("", " ", "MK1T", "MK?T", "MK*T", "MK<mask>T", "MK>T", "MK\0T", "MKÄT"),
    Modality.NUCLEOTIDE: ("", " ", "AC1GT", "AC?GT", "AC-GT", "AC>GT", "AC\0GT", "ACÄGT", "ACEGT"),
}
_MESSY = {
    Modality.PROTEIN: ("mkTAyi", "MKTAYI*", " MKT AYI\r\n", "MK-TA.YI", "MKTJYI", "MKjAYI"),
    Modality.NUCLEOTIDE: ("acGTac", " ACG TAC\r\n", "ACGUAC", "acguACGTN"),
}


class EmbedderConformance:
    """Subclass it, say which embedder in ``name`` and how to load it in ``options``.

    Attributes
    ----------
    name
        As :func:`embedders.load` takes it.
    options
        Further arguments of :func:`embedders.load`, but for device and truncation.
    """

    name: ClassVar[str]
    options: ClassVar[Mapping[str, object]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def loader(cls) -> Loader:
        """Return what loads the embedder: picklable, as other processes load it too."""
        return partial(load, cls.name, device="cpu", **cls.options)  # type: ignore[arg-type]

    @pytest.fixture(scope="class")
    @classmethod
    def row(cls) -> Checkpoint | None:
        """Return the row that it must agree with; None where it is loaded from a stand-in."""
        return checkpoint(cls.name)

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls, loader: Loader) -> Embedder:
        """Load the embedder, once for the whole class."""
        return loader()

    @pytest.fixture
    def sequences(self, embedder: Embedder) -> list[str]:
        """Return sequences of unlike lengths, in no order, one of them twice; new for each test."""
        letters = _LETTERS[embedder.spec.modality]
        return [(letters * 3)[:length] for length in _LENGTHS]

    def test_vectors_are_finite_float32_rows_on_the_cpu(
        self, embedder: Embedder, sequences: list[str]
    ) -> None:
        """Shape, dtype, device; no gradient is kept."""
        matrix = embedder.embed(sequences)
        _equal("shape", tuple(matrix.shape), (len(sequences), embedder.spec.width))
        _equal("dtype", matrix.dtype, torch.float32)
        _equal("device", matrix.device.type, "cpu")
        _equal("requires_grad", matrix.requires_grad, False)
        _require(bool(torch.isfinite(matrix).all()), "vectors hold NaN or infinity")

    def test_spec_agrees_with_the_row(self, embedder: Embedder, row: Checkpoint | None) -> None:
        """Name, width and modality are those that are listed."""
        spec = embedder.spec
        if row is not None:
            _equal("name", spec.name, row.name)
            _equal("width", spec.width, row.width)
            _equal("modality", spec.modality, row.modality)
        _equal("device", spec.device, "cpu")
        _require(bool(spec.versions), "spec.versions names no library that computes")

    def test_spec_stays_the_same(self, embedder: Embedder, sequences: list[str]) -> None:
        """Embedding changes nothing of what the embedder says it is."""
        before = replace(embedder.spec)
        embedder.embed(sequences)
        _equal("spec after embedding", embedder.spec, before)

    def test_no_sequences_give_no_rows(self, embedder: Embedder) -> None:
        """``(0, width)``, so that parts can be joined."""
        _equal("shape", tuple(embedder.embed([]).shape), (0, embedder.spec.width))

    def test_the_shortest_sequence_has_a_vector(self, embedder: Embedder) -> None:
        """One residue, or as many nucleotides as cleaning asks for."""
        letters = _LETTERS[embedder.spec.modality]
        shortest = next(
            letters[:size] for size in range(1, len(letters)) if _accepts(embedder, letters[:size])
        )
        _require(bool(torch.isfinite(embedder.embed([shortest])).all()), "NaN or infinity")

    def test_every_residue_has_a_vector(self, embedder: Embedder) -> None:
        """None that cleaning keeps is unknown to the model."""
        alphabet = _ALPHABET[embedder.spec.modality]
        matrix = embedder.embed([alphabet, *(each * 5 for each in alphabet)])
        _require(bool(torch.isfinite(matrix).all()), "vectors hold NaN or infinity")

    def test_each_vector_is_that_of_the_sequence_alone(
        self, embedder: Embedder, sequences: list[str]
    ) -> None:
        """What shares a batch has no influence."""
        alone = torch.cat([embedder.embed([sequence]) for sequence in sequences])
        _similar(embedder, embedder.embed(sequences), alone, "together and alone")

    @pytest.mark.parametrize("tokens_per_batch", [1, 64, 100_000])
    def test_the_token_budget_has_no_influence(
        self, embedder: Embedder, sequences: list[str], tokens_per_batch: int
    ) -> None:
        """However few or many sequences share a pass."""
        found = embedder.embed(sequences, tokens_per_batch=tokens_per_batch)
        _similar(embedder, found, embedder.embed(sequences), "under both budgets")

    def test_neither_order_nor_batch_mates_matter(self, embedder: Embedder) -> None:
        """Random sequences in random orders: each row is that of its own sequence."""
        draw = random.Random(0)  # noqa: S311 - makes inputs, no secrets
        alphabet = _ALPHABET[embedder.spec.modality]
        drawn = ["".join(draw.choices(alphabet, k=draw.randint(4, 60))) for _ in range(7)]
        alone = torch.cat([embedder.embed([sequence]) for sequence in drawn])
        for budget in (50, 150, 4096):
            order = draw.sample(range(len(drawn)), len(drawn))
            found = embedder.embed([drawn[place] for place in order], tokens_per_batch=budget)
            _similar(embedder, found, alone[order], "in another order and alone")

    def test_unlike_sequences_have_unlike_vectors(
        self, embedder: Embedder, sequences: list[str]
    ) -> None:
        """And equal ones, in one call, have equal vectors."""
        matrix = embedder.embed(sequences)
        _similar(embedder, matrix[0:1], matrix[4:5], "of the same sequence twice")
        _require(not torch.equal(matrix[0], matrix[2]), "unlike sequences have one vector")

    def test_a_second_run_differs_by_no_bit(self, embedder: Embedder, sequences: list[str]) -> None:
        """Nothing is drawn while embedding: dropout is off."""
        same = torch.equal(embedder.embed(sequences), embedder.embed(sequences))
        _require(same, "two runs on the same input differ")

    def test_sequences_are_left_as_they_came(
        self, embedder: Embedder, sequences: list[str]
    ) -> None:
        """The caller's list is not touched, and a tuple does as well."""
        given = list(sequences)
        matrix = embedder.embed(given)
        _equal("sequences", given, sequences)
        _require(torch.equal(embedder.embed(tuple(sequences)), matrix), "a tuple differs")

    def test_nothing_global_is_changed(self, embedder: Embedder, sequences: list[str]) -> None:
        """Neither torch's random state nor its default dtype nor its threads."""
        dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_UNUSUAL_SEED)
            state = torch.get_rng_state()
            embedder.embed(sequences)
            _require(torch.equal(torch.get_rng_state(), state), "torch's random state moved")
        _equal("default dtype", torch.get_default_dtype(), dtype)
        _equal("threads", torch.get_num_threads(), threads)

    def test_the_cleaning_policy_is_the_one_of_its_name(self, embedder: Embedder) -> None:
        """Both arms of a migration read the same text."""
        spec = embedder.spec
        if spec.cleaning_policy not in CLEANING_POLICIES:
            pytest.fail(f"{spec.cleaning_policy!r} is none of {', '.join(CLEANING_POLICIES)}")
        policy = CLEANING_POLICIES[spec.cleaning_policy]
        for text in _MESSY[spec.modality]:
            _equal(f"{text!r} cleaned", embedder.clean(text), policy(text))

    def test_cleaning_happens_before_embedding(
        self, embedder: Embedder, sequences: list[str]
    ) -> None:
        """Blanks, line ends and lower case do not reach the model."""
        messy = [f" {sequence[:3].lower()}{sequence[3:]}\r\n" for sequence in sequences]
        _similar(embedder, embedder.embed(messy), embedder.embed(sequences), "messy and clean")

    def test_what_cleaning_refuses_is_not_embedded(self, embedder: Embedder) -> None:
        """Digits, signs, special tokens written out, and nothing at all."""
        for text in _REFUSED[embedder.spec.modality]:
            for way in (embedder.clean, lambda one: embedder.embed([one])):
                try:
                    way(text)
                except RejectedSequence:
                    continue
                pytest.fail(f"{text!r} is accepted")

    def test_a_rejected_sequence_is_named_by_its_index(
        self, embedder: Embedder, sequences: list[str]
    ) -> None:
        """So that a caller can leave that one out."""
        try:
            embedder.embed([*sequences[:2], "AC1GT"])
        except RejectedSequence as error:
            _require("sequence 2: " in str(error), f"'sequence 2: ' is not in {str(error)!r}")
        else:
            pytest.fail("'AC1GT' is accepted")

    def test_residues_beyond_the_window_do_not_count(self, embedder: Embedder) -> None:
        """Under ``truncate`` a long protein has the vector of its window, all of it."""
        window = _window(embedder)
        letters = _LETTERS[Modality.PROTEIN] * (window // 30 + 2)
        whole, cut, shorter = embedder.embed(
            [letters[: window + 9], letters[:window], letters[: window // 2]]
        )
        _similar(embedder, whole[None], cut[None], "of a long protein and of its window")
        _require(not torch.equal(whole, shorter), "the window is shorter than the spec says")

    def test_legacy_truncation_is_done_or_refused(self, embedder: Embedder, loader: Loader) -> None:
        """Short proteins are the same under both policies; the spec says which was taken."""
        _window(embedder)
        try:
            legacy = loader(truncation=Truncation.LEGACY)
        except UnsupportedChoice as error:
            pytest.skip(f"refused, which is allowed: {error}")
        _equal("truncation", legacy.spec.truncation, Truncation.LEGACY)
        text = _LETTERS[Modality.PROTEIN]
        long = text * (legacy.spec.window_residues // len(text) + 2)
        found = legacy.embed([long, text])
        _require(bool(torch.isfinite(found).all()), "vectors hold NaN or infinity")
        _similar(embedder, found[1:], embedder.embed([text]), "of a short protein")

    def test_loading_again_gives_the_same_vectors(
        self, embedder: Embedder, loader: Loader, sequences: list[str]
    ) -> None:
        """What loads it can be pickled, so that other processes load it as well."""
        pickle.dumps(loader)
        again = loader()
        _equal("spec", again.spec, embedder.spec)
        same = torch.equal(again.embed(sequences), embedder.embed(sequences))
        _require(same, "loaded again, it gives other vectors")


def _accepts(embedder: Embedder, text: str) -> bool:
    try:
        embedder.clean(text)
    except RejectedSequence:
        return False
    return True


def _window(embedder: Embedder) -> int:
    """Return how many residues the window has; nucleotides are cut before they are embedded."""
    if embedder.spec.modality is not Modality.PROTEIN:
        pytest.skip("only proteins have a window")
    return embedder.spec.window_residues


def _similar(embedder: Embedder, one: torch.Tensor, other: torch.Tensor, what: str) -> None:
    """Fail unless rows are the same up to what the embedder's dtype can hold."""
    if embedder.spec.dtype == "float32":
        largest = float(other.abs().max().clamp_min(1e-30))
        difference = float((one - other).abs().max()) / largest
        _require(difference <= FLOAT32_LIMIT, f"vectors {what} differ by {difference:.3g}")
    else:
        cosine = float(torch.cosine_similarity(one, other).min())
        _require(cosine >= COSINE_LIMIT, f"vectors {what} have a cosine of {cosine:.6f} only")


def _equal(what: str, came: object, wanted: object) -> None:
    _require(came == wanted, f"{what} is {came!r}, not {wanted!r}")


def _require(met: bool, message: str) -> None:
    __tracebackhide__ = True
    if not met:
        pytest.fail(message)
