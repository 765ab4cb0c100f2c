"""From names to a loaded embedder."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import torch

from embedders.alphabet import PROTEIN_POLICY, clean_protein
from embedders.checkpoints import Checkpoint, Family, checkpoint
from embedders.contract import (
    WINDOW_RESIDUES,
    Embedder,
    EmbedderSpec,
    Truncation,
    WeightsIdentity,
)
from embedders.embedder import EncoderEmbedder
from embedders.errors import InputError, UnknownName, UnsupportedChoice
from embedders.runtimes import Encoder, Placement, Runtime, runtime
from embedders.weights import open_weights

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


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
        What happens beyond the first 1,024 residues; see :class:`Truncation`.
    attention
        Implementation of attention, where the runtime has a choice.
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
        If the embedder or the runtime is not in its table.
    UnsupportedChoice
        If choices do not go together; nothing is ever changed silently.
    WeightsError
        If the weights cannot be found or do not fit.
    """
    row = checkpoint(name)
    if remote_code:
        raise UnsupportedChoice(f"{name!r} is not loaded with remote code")
    if row.family is not Family.ESM2:
        raise UnsupportedChoice(f"{name!r} cannot be loaded yet")
    how = _runtime_of(row, runtime)
    placement = Placement(
        device=_device(device),
        dtype=_dtype(dtype or "float32", _device(device)),
        attention=_attention(how, attention),
    )
    stream = open_weights(
        row,
        weights if weights is not None else ("mini" if row.bundled else "hub"),
        device=placement.device,
        layers=layers,
        revision=revision,
    )
    with torch.inference_mode(False):
        encoder = how.load().build(stream.architecture, stream, placement)
    spec = _spec(row, how, encoder, placement, stream.identity(), Truncation(truncation))
    return EncoderEmbedder(spec=spec, encoder=encoder, cleaner=clean_protein)


def describe(name: str, runtime: str | None = None) -> Outline:
    """Build an ESM-2 embedder's full-size model without memory and measure it.

    Examples
    --------
    >>> describe("esm2-3b").width
    2560
    """
    row = checkpoint(name)
    how = _runtime_of(row, runtime)
    encoder = how.load().outline(row.architecture())
    return Outline(name, how.name, encoder.width, encoder.parameters)


def _runtime_of(row: Checkpoint, name: str | None) -> Runtime:
    return runtime(row.default_runtime if name is None else name)


def _attention(how: Runtime, wanted: str | None) -> str | None:
    if wanted is None:
        return how.attentions[0] if how.attentions else None
    if not how.attentions:
        raise UnsupportedChoice(
            f"runtime {how.name!r} has one attention of its own; leave attention={wanted!r} out"
        )
    if wanted not in how.attentions:
        raise UnknownName("attention", wanted, how.attentions)
    return wanted


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UnsupportedChoice(f"device must be auto, cpu, cuda or cuda:N, not {wanted!r}")
    if device.type == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= found:
            raise UnsupportedChoice(
                f"device {wanted!r} was asked for, but torch finds {found} CUDA devices; "
                "choose 'cpu' or 'auto'"
            )
    return device


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    if wanted not in _DTYPES:
        raise UnknownName("dtype", wanted, _DTYPES)
    if wanted == "float16" and device.type == "cpu":
        raise UnsupportedChoice(
            "float16 on a CPU is refused: its matrix products are emulated, some 400 times "
            "slower than bfloat16; choose bfloat16 or float32"
        )
    return _DTYPES[wanted]


def _spec(
    row: Checkpoint,
    how: Runtime,
    encoder: Encoder,
    placement: Placement,
    identity: WeightsIdentity,
    truncation: Truncation,
) -> EmbedderSpec:
    if encoder.width != row.width:
        raise InputError(f"{row.name} gave width {encoder.width}, its row says {row.width}")
    return EmbedderSpec(
        name=row.name,
        runtime=how.name,
        modality=row.modality,
        width=encoder.width,
        parameters=encoder.parameters,
        dtype=str(placement.dtype).removeprefix("torch."),
        device=str(placement.device),
        weights=identity,
        truncation=truncation,
        window_residues=WINDOW_RESIDUES,
        cleaning_policy=PROTEIN_POLICY,
        versions=tuple((name, version(name)) for name in how.distributions),
    )
