"""From names to a loaded embedder."""

from __future__ import annotations

from embedders.arithmetic import Arithmetic
from embedders.checkpoints import Checkpoint
from embedders.choices import Choices
from embedders.contract import Embedder, Truncation
from embedders.errors import UnknownName
from embedders.families import Outline, adapter_of
from embedders.listing import checkpoint, runtimes_of


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
    choices = Choices(
        runtime=_runtime_name(row, runtime),
        weights=weights,
        device=device,
        dtype=dtype,
        truncation=_truncation(truncation),
        attention=attention,
        remote_code=remote_code,
        revision=revision,
        layers=layers,
    )
    return adapter_of(row).build(row, choices)


def describe(name: str, runtime: str | None = None) -> Outline:
    """Return what an embedder would be, found without loading any weight.

    Width and parameters are read off the full-size model, built on the meta device without memory;
    for embedders of other packages, and for those that have no such model, they are the row's.

    Raises
    ------
    UnknownName
        If the embedder or the runtime is in no table.

    Examples
    --------
    >>> describe("esm2-3b").width
    2560
    """
    row = checkpoint(name)
    return adapter_of(row).outline(row, _runtime_name(row, runtime))


def arithmetic_of(name: str, layers: int | None = None) -> Arithmetic | None:
    """Return what an encoder multiplies; None for one of which that is not known.

    Parameters
    ----------
    layers
        Its depth where it was cut.

    Raises
    ------
    UnknownName
        If there is no such embedder.

    Examples
    --------
    >>> arithmetic_of("prott5-xl").layer_weights
    50331648
    """
    row = checkpoint(name)
    return adapter_of(row).arithmetic(row, layers)


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
