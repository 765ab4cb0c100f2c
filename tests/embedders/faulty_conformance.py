"""One sound embedder, and one for each promise that breaks that promise alone.

Not collected by itself: ``test_conformance.py`` runs it and looks at what fails.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch

from embedders import Checkpoint, Cleaned, Embedder, EmbedderSpec, Modality, Truncation
from embedders import WeightsIdentity as Identity
from embedders.alphabet import PROTEIN_POLICY, clean_protein
from embedders.conformance import EmbedderConformance, Loader
from embedders.contract import DEFAULT_TOKENS_PER_BATCH
from embedders.embedder import clean_all
from embedders.errors import RejectedSequence

SPEC = EmbedderSpec(
    name="sound",
    runtime="toy",
    modality=Modality.PROTEIN,
    width=8,
    parameters=208,
    dtype="float32",
    device="cpu",
    weights=Identity("random", "0" * 64, seed=0),
    cleaning_policy=PROTEIN_POLICY,
    versions=(("torch", torch.__version__),),
)
_TABLE = torch.from_numpy(np.random.default_rng(0).normal(size=(26, 8)).astype(np.float32))


@dataclass
class Sound:
    """The mean over residues of a vector for each letter, later ones weighing less."""

    spec: EmbedderSpec = SPEC

    def clean(self, sequence: str) -> Cleaned:
        return clean_protein(sequence)

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        del tokens_per_batch
        return self.rows(clean_all(self.clean, sequences))

    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        if not residues:
            return torch.empty((0, self.spec.width))
        return torch.stack([self.vector(each[: self.spec.window_residues]) for each in residues])

    def vector(self, residues: str) -> torch.Tensor:
        table = _TABLE[[ord(letter) - ord("A") for letter in residues]]
        weights = 1 / torch.arange(1, len(residues) + 1).sqrt()
        return (table * weights[:, None]).mean(dim=0)


class Reversed(Sound):
    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        return super().rows(residues).flip(0)


class Centred(Sound):
    """Depends on its batch-mates."""

    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        matrix = super().rows(residues)
        return matrix - matrix.mean(dim=0) / 2 if len(matrix) else matrix


class Budgeted(Sound):
    """Averages over the padding of a batch as large as the budget."""

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        return super().embed(sequences) * min(tokens_per_batch, 1000)


class Doubles(Sound):
    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        return super().rows(residues).double()


class Learning(Sound):
    """Keeps gradients."""

    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        return super().rows(residues).requires_grad_()


class Flat(Sound):
    """Forgets what shape nothing has."""

    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        return super().rows(residues) if residues else torch.empty(0)


class Narrow(Sound):
    spec = replace(SPEC, width=7)

    def __init__(self) -> None:
        super().__init__(replace(SPEC, width=7))

    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        return super().rows(residues)[:, :7]


class UnknownTryptophan(Sound):
    def vector(self, residues: str) -> torch.Tensor:
        vector = super().vector(residues)
        return vector if "W" not in residues else vector * float("nan")


class NeedsTen(Sound):
    """Gives NaN for a short sequence."""

    def vector(self, residues: str) -> torch.Tensor:
        vector = super().vector(residues)
        return vector if len(residues) > 3 else vector * float("nan")


class Dropout(Sound):
    def vector(self, residues: str) -> torch.Tensor:
        return super().vector(residues) * (1 + 1e-7 * random.random())


class Seeding(Sound):
    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        torch.manual_seed(len(residues))
        return super().rows(residues)


class Sorting(Sound):
    """Sorts the caller's own list."""

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        matrix = super().embed(sequences, tokens_per_batch=tokens_per_batch)
        if isinstance(sequences, list):
            sequences.sort()
        return matrix


class Constant(Sound):
    def vector(self, residues: str) -> torch.Tensor:
        return super().vector("M" * bool(residues))


class Relabelled(Sound):
    """Says after embedding that it is another."""

    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        self.spec = replace(self.spec, parameters=self.spec.parameters + 1)
        return super().rows(residues)


class Uncleaned(Sound):
    """Cleans when asked to, but embeds what came."""

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        del tokens_per_batch
        clean_all(self.clean, sequences)
        letters = [each.replace("\r", "").replace("\n", "").replace(" ", "A") for each in sequences]
        return self.rows([each.upper() for each in letters])


class OtherPolicy(Sound):
    """Makes U what its named policy keeps."""

    def clean(self, sequence: str) -> Cleaned:
        cleaned = clean_protein(sequence)
        return Cleaned(cleaned.residues.replace("X", "A"), cleaned.fixes)


class Lenient(Sound):
    """Takes digits for alanine."""

    def clean(self, sequence: str) -> Cleaned:
        return clean_protein("".join("A" if each.isdigit() else each for each in sequence))


class Nameless(Sound):
    """Does not say which sequence it refused."""

    def embed(
        self, sequences: Sequence[str], *, tokens_per_batch: int = DEFAULT_TOKENS_PER_BATCH
    ) -> torch.Tensor:
        try:
            return super().embed(sequences, tokens_per_batch=tokens_per_batch)
        except RejectedSequence:
            raise RejectedSequence("refused") from None


class Endless(Sound):
    """Has a window in its spec only."""

    def rows(self, residues: Sequence[str]) -> torch.Tensor:
        return torch.stack([self.vector(each) for each in residues]) if residues else _nothing()


class Short(Sound):
    """Cuts at half of its window."""

    def vector(self, residues: str) -> torch.Tensor:
        return super().vector(residues[: self.spec.window_residues // 2])


class Lying(Sound):
    """Says ``truncate`` whatever it was asked for: see the loader."""


class Unlike(Sound):
    """Another one whenever it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = random.random()

    def vector(self, residues: str) -> torch.Tensor:
        return super().vector(residues) * self.scale


def _nothing() -> torch.Tensor:
    return torch.empty((0, 8))


def make(kind: type[Sound], truncation: Truncation = Truncation.TRUNCATE) -> Embedder:
    embedder = kind()
    if kind is not Lying:
        embedder.spec = replace(embedder.spec, truncation=truncation)
    return embedder


FAULTS: dict[type[Sound], str] = {
    Reversed: "test_each_vector_is_that_of_the_sequence_alone",
    Centred: "test_neither_order_nor_batch_mates_matter",
    Budgeted: "test_the_token_budget_has_no_influence",
    Doubles: "test_vectors_are_finite_float32_rows_on_the_cpu",
    Learning: "test_vectors_are_finite_float32_rows_on_the_cpu",
    Flat: "test_no_sequences_give_no_rows",
    Narrow: "test_spec_agrees_with_the_row",
    UnknownTryptophan: "test_every_residue_has_a_vector",
    NeedsTen: "test_the_shortest_sequence_has_a_vector",
    Dropout: "test_a_second_run_differs_by_no_bit",
    Seeding: "test_nothing_global_is_changed",
    Sorting: "test_sequences_are_left_as_they_came",
    Constant: "test_unlike_sequences_have_unlike_vectors",
    Relabelled: "test_spec_stays_the_same",
    Uncleaned: "test_cleaning_happens_before_embedding",
    OtherPolicy: "test_the_cleaning_policy_is_the_one_of_its_name",
    Lenient: "test_what_cleaning_refuses_is_not_embedded",
    Nameless: "test_a_rejected_sequence_is_named_by_its_index",
    Endless: "test_residues_beyond_the_window_do_not_count",
    Short: "test_residues_beyond_the_window_do_not_count",
    Lying: "test_legacy_truncation_is_done_or_refused",
    Unlike: "test_loading_again_gives_the_same_vectors",
}
"""Each fault, and a test that must notice it."""


class TestFaults(EmbedderConformance):
    @pytest.fixture(scope="class", params=[Sound, *FAULTS], ids=lambda kind: kind.__name__)
    @classmethod
    def loader(cls, request: pytest.FixtureRequest) -> Loader:
        return partial(make, request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def row(cls) -> Checkpoint | None:
        from embedders import Family  # noqa: PLC0415 - only here

        return Checkpoint(
            name="sound",
            family=Family.PLUGIN,
            modality=Modality.PROTEIN,
            width=8,
            layers=0,
            heads=0,
            parameters=208,
            default_runtime="toy",
            licence="MIT",
        )
