"""From names to a loaded embedder."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import version

from embedders.alphabet import (
    NUCLEOTIDE_POLICY,
    PROTEIN_POLICY,
    clean_nucleotide,
    clean_protein,
)
from embedders.checkpoints import Checkpoint, Family, checkpoint
from embedders.contract import (
    WINDOW_RESIDUES,
    Embedder,
    EmbedderSpec,
    Modality,
    Truncation,
    WeightsIdentity,
)
from embedders.dnabert import build_dnabert
from embedders.embedder import EncoderEmbedder
from embedders.errors import InputError, UnknownName, UnsupportedChoice
from embedders.kmer import KmerEmbedder
from embedders.listing import runtimes_of
from embedders.placement import choose_device, choose_placement
from embedders.remote_code import build_model, find_folder
from embedders.runtimes import RUNTIMES, Encoder, Placement
from embedders.runtimes.huggingface import wrap
from embedders.weights import open_weights

_HUGGINGFACE = "huggingface"
_REMOTE = "+remote-code"
"""Follows the runtime's name in the spec when code beside the weights was run."""
_WHOLE_SEQUENCE = sys.maxsize
"""Window of nucleotide embedders: the pipeline cuts contigs before it embeds them."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What an embedder would be, found without loading any weight.

    ``width`` and ``parameters`` are read off the full-size model built on the meta device.
    """

    name: str
    runtime: str
    width: int
    parameters: int


def load(  # noqa: PLR0913 - every argument is one choice of the user, each with a default
    name: str,
    *,
    runtime: str | None = None,
    weights: str | None = None,
    device: str = "auto",
    dtype: str | None = None,
    truncation: Truncation | str = Truncation.TRUNCATE,
    attention: str | None = None,
    remote_code: bool = False,
    revision: str | None = None,
    layers: int | None = None,
) -> Embedder:
    """Load an embedder.

    Parameters
    ----------
    name
        A checkpoint's name, e.g. ``"fastesm2-650"``.
    runtime
        How to compute it; by default as the checkpoint's row says.
    weights
        ``hub``, ``mini``, ``random``, ``random:SEED`` or a folder laid out like the hub's. By
        default the bundled weights of a mini, and the hub for any other.
    device
        ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``. The spec records the
        device that was taken.
    dtype
        ``float32`` (the default), ``bfloat16`` or ``float16``; results are float32 in any case.
    truncation
        What happens beyond the first 1,024 residues of a protein; see :class:`Truncation`.
        Nucleotide embedders read whole sequences.
    attention
        Implementation of attention, where the runtime has a choice; by default the best that it
        has for this device and dtype. The spec records which was taken.
    remote_code
        Run the Python code that comes with the weights. Off by default; for hub weights it
        needs ``revision``.
    revision
        Full 40-hex hub commit instead of the table's.
    layers
        Another depth; with random weights only, for tests of wide models.

    Raises
    ------
    UnknownName
        If the embedder, the runtime, the dtype or the attention is in no table.
    UnsupportedChoice
        If choices do not go together; nothing is ever changed silently.
    WeightsError
        If the weights cannot be found or do not fit.
    """
    row = checkpoint(name)
    policy = _truncation(truncation)
    how = _runtime_name(row, runtime)
    wanted = weights if weights is not None else ("mini" if row.bundled else "hub")
    if row.family is Family.KMER:
        _refuse(row, weights=weights, dtype=dtype, attention=attention, layers=layers)
        return _kmer_embedder(row, device, policy)
    placement = choose_placement(RUNTIMES[how], device, dtype or "float32", attention)
    encoder: Encoder
    if row.family is Family.DNABERT:
        _refuse(row, attention=attention, layers=layers)
        folder = find_folder(row, wanted, remote_code=remote_code, revision=revision)
        encoder, identity = build_dnabert(folder, placement), folder.identity()
        how = f"{how}{_REMOTE}" if remote_code else how
    elif remote_code:
        _refuse(row, layers=layers)
        if how != _HUGGINGFACE:
            raise UnsupportedChoice(f"remote code goes with runtime {_HUGGINGFACE!r}, not {how!r}")
        folder = find_folder(row, wanted, remote_code=True, revision=revision)
        encoder, identity = wrap(build_model(folder, placement), placement), folder.identity()
        how += _REMOTE
    else:
        stream = open_weights(
            row, wanted, device=placement.device, layers=layers, revision=revision
        )
        encoder = RUNTIMES[how].load().build(stream.architecture, stream, placement)
        identity = stream.identity()
    cleaner = clean_protein if row.modality is Modality.PROTEIN else clean_nucleotide
    return EncoderEmbedder(
        spec=_spec(row, how, encoder, placement, identity, policy),
        encoder=encoder,
        cleaner=cleaner,
    )


def describe(name: str, runtime: str | None = None) -> Outline:
    """Build an ESM-2 embedder's full-size model without memory and measure it.

    Raises
    ------
    UnknownName
        If the embedder or the runtime is in no table.
    InputError
        If it is no ESM-2 checkpoint.

    Examples
    --------
    >>> describe("esm2-3b").width
    2560
    """
    row = checkpoint(name)
    architecture = row.architecture()
    how = _runtime_name(row, runtime)
    encoder = RUNTIMES[how].load().outline(architecture)
    return Outline(name, how, encoder.width, encoder.parameters)


def _runtime_name(row: Checkpoint, wanted: str | None) -> str:
    known = runtimes_of(row)
    if wanted is not None and wanted not in known:
        raise UnknownName(f"runtime of {row.name}", wanted, known)
    return row.default_runtime if wanted is None else wanted


def _truncation(wanted: Truncation | str) -> Truncation:
    try:
        return Truncation(wanted)
    except ValueError:
        raise UnknownName("truncation policy", str(wanted), list(Truncation)) from None


def _refuse(row: Checkpoint, **choices: object) -> None:
    given = [f"{key}={value!r}" for key, value in choices.items() if value is not None]
    if given:
        raise UnsupportedChoice(f"{row.name!r} has no choice of {', '.join(given)}; leave it out")


def _kmer_embedder(row: Checkpoint, device: str, policy: Truncation) -> Embedder:
    if device != "auto" and choose_device(device).type != "cpu":
        raise UnsupportedChoice(f"{row.name!r} is computed on the CPU, not on {device!r}")
    spec = EmbedderSpec(
        name=row.name,
        runtime=row.default_runtime,
        modality=row.modality,
        width=row.width,
        parameters=0,
        dtype="float32",
        device="cpu",
        weights=WeightsIdentity(source="none", sha256=""),
        truncation=policy,
        window_residues=_WHOLE_SEQUENCE,
        cleaning_policy=NUCLEOTIDE_POLICY,
        versions=(("numpy", version("numpy")),),
    )
    return KmerEmbedder(spec)


def _spec(
    row: Checkpoint,
    how: str,
    encoder: Encoder,
    placement: Placement,
    identity: WeightsIdentity,
    policy: Truncation,
) -> EmbedderSpec:
    protein = row.modality is Modality.PROTEIN
    if protein and encoder.width != row.width:
        raise InputError(f"{row.name} gave width {encoder.width}, its row says {row.width}")
    computing = RUNTIMES[how.partition("+")[0]]
    return EmbedderSpec(
        name=row.name,
        runtime=how,
        modality=row.modality,
        width=encoder.width,
        parameters=encoder.parameters,
        dtype=str(placement.dtype).removeprefix("torch."),
        device=str(placement.device),
        weights=identity,
        truncation=policy,
        window_residues=WINDOW_RESIDUES if protein else _WHOLE_SEQUENCE,
        cleaning_policy=PROTEIN_POLICY if protein else NUCLEOTIDE_POLICY,
        versions=tuple((name, version(name)) for name in computing.distributions),
        attention=encoder.attention,
        pads=computing.pads,
    )
