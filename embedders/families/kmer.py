"""Frequencies of canonical k-mers: nothing is learnt, so there is little to choose."""

from __future__ import annotations

from importlib.metadata import version

from embedders.alphabet import NUCLEOTIDE_POLICY
from embedders.checkpoints import Checkpoint
from embedders.choices import Choices
from embedders.contract import WHOLE_SEQUENCE, Embedder, EmbedderSpec, WeightsIdentity
from embedders.errors import UnsupportedChoice
from embedders.families.adapter import Adapter
from embedders.kmer import KmerEmbedder
from embedders.placement import choose_device


class KmerAdapter(Adapter):
    """Makes the embedder that has no weights."""

    def build(self, row: Checkpoint, choices: Choices) -> Embedder:
        """Make the embedder; see :meth:`Adapter.build`."""
        choices.refuse(
            row.name, "weights", "dtype", "attention", "layers", "remote_code", "revision"
        )
        if choices.device != "auto" and choose_device(choices.device).type != "cpu":
            raise UnsupportedChoice(
                f"{row.name!r} is computed on the CPU, not on {choices.device!r}"
            )
        spec = EmbedderSpec(
            name=row.name,
            runtime=choices.runtime,
            modality=row.modality,
            width=row.width,
            parameters=0,
            dtype="float32",
            device="cpu",
            weights=WeightsIdentity(source="none", sha256=""),
            truncation=choices.truncation,
            window_residues=WHOLE_SEQUENCE,
            cleaning_policy=NUCLEOTIDE_POLICY,
            versions=(("numpy", version("numpy")),),
        )
        return KmerEmbedder(spec)


ADAPTER = KmerAdapter()
