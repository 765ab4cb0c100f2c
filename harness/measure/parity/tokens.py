"""Which tokens really enter a model, compared with what the libraries' own tokenizers make."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from embedders import Embedder, InputError, RejectedSequence
from embedders.batching import SPECIAL_TOKENS
from harness.results import ParityCheck

Tokenizer = Callable[[str], list[int]]

_SAMPLE_RESIDUES = 20
_REFUSED = ("1", "?", "*", "<mask>")
"""Written into a sequence, these must not reach a model: they are residues of nothing."""


class _Heard(BaseException):
    """Ends a pass once its tokens are known, so that listening costs no computation.

    No ``Exception``: nothing between the model and the listener may take it for a failure.
    """


class _Listener(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Hears the first table that is looked up: the token embedding of every runtime."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tokens: list[int] = []

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch's own signature
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if func is torch.ops.aten.embedding.default:
            self.tokens = args[1].reshape(-1).tolist()
            raise _Heard
        return func(*args, **(kwargs or {}))


def tokens_entering(embedder: Embedder, sequence: str) -> list[int]:
    """Return the token ids that enter the model when ``sequence`` is embedded alone.

    They are heard at the token embedding itself, so that cleaning, truncation and encoding are
    those of the real path.

    Raises
    ------
    InputError
        If the embedder looks nothing up, or computes in another process.
    RejectedSequence
        If the embedder refuses the sequence.
    """
    listener = _Listener()
    try:
        with listener:
            embedder.embed([sequence], tokens_per_batch=1)
    except _Heard:
        return listener.tokens
    raise InputError(
        f"{embedder.spec.name} on {embedder.spec.runtime}: no token embedding was seen; audit an "
        "ESM-2 embedder in this process"
    )


def library_tokenizer(library: str) -> Tokenizer:
    """Return the tokenizer of ``fair-esm`` or ``huggingface`` as its authors wrote it."""
    import esm  # noqa: PLC0415 - heavy, only for an audit

    alphabet = esm.data.Alphabet.from_architecture("ESM-1b")
    if library == "fair-esm":
        convert = alphabet.get_batch_converter()
        return lambda residues: [int(each) for each in convert([("", residues)])[2][0]]
    from transformers import EsmTokenizer  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.txt"
        vocabulary.write_text("\n".join(alphabet.all_toks), encoding="utf-8")
        tokenizer = EsmTokenizer(str(vocabulary))
    return lambda residues: [int(each) for each in tokenizer(residues)["input_ids"]]


def token_count(
    embedder: Embedder, sequences: Sequence[str], residues: Sequence[str], *, arm: str
) -> ParityCheck:
    """Ask whether each sequence enters as its residues, one BOS and one EOS."""
    off = [
        abs(len(tokens_entering(embedder, sequence)) - (len(text) + SPECIAL_TOKENS))
        for sequence, text in zip(sequences, residues, strict=True)
    ]
    return ParityCheck(
        arm=arm,
        check="token count",
        sentence=f"{len(off)} sequences: most tokens more or less than residues + 2",
        value=float(max(off, default=0)),
        limit=0.0,
        at_least=False,
    )


def token_ids(
    embedder: Embedder,
    sequences: Sequence[str],
    residues: Sequence[str],
    *,
    arm: str,
    library: str,
) -> ParityCheck:
    """Ask whether a library's own tokenizer makes the same tokens of the cleaned text."""
    tokenizer = library_tokenizer(library)
    different = 0
    for sequence, text in zip(sequences, residues, strict=True):
        ours, theirs = tokens_entering(embedder, sequence), tokenizer(text)
        different += abs(len(ours) - len(theirs))
        different += sum(a != b for a, b in zip(ours, theirs, strict=False))
    return ParityCheck(
        arm=arm,
        check="token ids",
        sentence=f"{len(sequences)} sequences: tokens that {library}'s own tokenizer has otherwise",
        value=float(different),
        limit=0.0,
        at_least=False,
    )


def unknown_tokens(embedder: Embedder, sequences: Sequence[str], *, arm: str) -> ParityCheck:
    """Count ``<unk>`` and other special tokens among residues, on ordinary and on odd sequences.

    Odd are lower case, a stop at the end, J, gaps and blanks, which cleaning repairs: each one
    that the embedder refuses counts as well. A digit, ``?``, a stop inside and ``<mask>`` written
    out are to be refused; where they are not, their tokens count.
    """
    import esm  # noqa: PLC0415 - heavy, only for an audit

    alphabet = esm.data.Alphabet.from_architecture("ESM-1b")
    special = {alphabet.get_idx(token) for token in alphabet.all_special_tokens}
    repaired, refused = odd_sequences(sequences[0])
    count = 0
    for sequence in (*sequences, *repaired, *refused):
        try:
            inside = tokens_entering(embedder, sequence)[1:-1]
        except RejectedSequence:
            count += sequence not in refused
            continue
        count += sum(token in special for token in inside)
    return ParityCheck(
        arm=arm,
        check="unknown tokens",
        sentence=f"{len(sequences)} sequences, and one with lower case, J, *, gaps and digits: "
        "unknown or special tokens among residues",
        value=float(count),
        limit=0.0,
        at_least=False,
    )


def odd_sequences(sequence: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what cleaning repairs and what it must refuse, made of the start of a sequence."""
    head = sequence[:_SAMPLE_RESIDUES]
    half = len(head) // 2
    repaired = (
        head.lower(),
        f"{head}*",
        *(f"{head[:half]}{sign}{head[half:]}" for sign in ("J", "j", "-", ".", " ", "\n")),
    )
    refused = tuple(f"{head[:half]}{sign}{head[half:]}K" for sign in _REFUSED)
    return repaired, refused
