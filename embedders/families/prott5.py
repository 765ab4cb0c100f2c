"""ProtT5: the encoder of a T5 over residues, on transformers' own ``T5EncoderModel``.

One token for each residue and ``</s>`` behind the last, no BOS. Its authors map the rare ``U``,
``Z``, ``O`` and ``B`` to ``X`` (github.com/agemagician/ProtTrans), and so does this table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn

from embedders.alphabet import EOS, PADDING, VOCABULARY, encode_batch
from embedders.arithmetic import Arithmetic, Block
from embedders.checkpoints import Checkpoint
from embedders.errors import InputError, UnsupportedChoice, WeightsError
from embedders.families.native import NativeAdapter, Tokens
from embedders.runtimes.encoder import Placement

# the pieces of its spiece.model in order, as ports of its tokenizer list them
_PIECES = ("<pad>", "</s>", "<unk>", *"ALGVSREDTIPKFQNYMHWCX")
_IDS = {piece: index for index, piece in enumerate(_PIECES)}
_RARE = "UZOB"
_T5_PADDING, _T5_EOS = _IDS["<pad>"], _IDS["</s>"]
_EMBEDDED_TOKENS = 128
"""Rows of the token embedding: residues, and sentinels that are never used here."""
_BUCKETS = 32
_TOKEN_EMBEDDING = "shared.weight"  # noqa: S105 - the name of a tensor
_NOT_NEEDED = ("decoder.", "lm_head.")


def _translation() -> torch.Tensor:
    """Id of each ESM token here, so that both alphabets are read by the same code."""
    table = torch.full((len(VOCABULARY),), _IDS["<unk>"])
    for index, token in enumerate(VOCABULARY):
        if token.isalpha():
            table[index] = _IDS["X" if token in _RARE else token]
    table[PADDING], table[EOS] = _T5_PADDING, _T5_EOS
    return table


_OF_ESM_TOKEN = _translation()


def encode(sequences: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn sequences into one padded block of ProtT5's token ids.

    Returns
    -------
    tuple[torch.Tensor, torch.Tensor]
        Tokens, int64 ``(n, longest + 1)``, padded on the right, and the number of residues of
        each row, int64 ``(n,)``; both on the CPU.

    Raises
    ------
    InputError
        If a character has no token or there is no sequence.

    Examples
    --------
    >>> encode(["MK", "U"])[0].tolist()
    [[19, 14, 1], [23, 1, 0]]
    """
    tokens, lengths = encode_batch(sequences)
    return _OF_ESM_TOKEN[tokens[:, 1:]], lengths


class ProtT5Adapter(NativeAdapter):
    """Loads ProtT5 checkpoints."""

    tokens = Tokens(
        ids={
            **{piece: index for piece, index in _IDS.items() if piece.isalpha()},
            **dict.fromkeys(_RARE, _IDS["X"]),
        },
        stored=_IDS,
        before=(),
        behind=(_T5_EOS,),
        padding=_T5_PADDING,
        encode=encode,
    )
    description = {  # noqa: RUF012 - a constant of the class, as its annotation above says
        "feed_forward_proj": "relu",
        "relative_attention_num_buckets": _BUCKETS,
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": 1e-6,
    }

    def shapes(self, row: Checkpoint, layers: int | None) -> dict[str, tuple[int, ...]]:
        """See :meth:`NativeAdapter.shapes`; only the first layer holds the position bias."""
        width, (heads_width, inner) = row.width, _widths(row)
        attention = dict.fromkeys("qkv", (heads_width, width)) | {"o": (width, heads_width)}
        layer: dict[str, tuple[int, ...]] = {
            **{f"layer.0.SelfAttention.{name}.weight": shape for name, shape in attention.items()},
            "layer.0.layer_norm.weight": (width,),
            "layer.1.DenseReluDense.wi.weight": (inner, width),
            "layer.1.DenseReluDense.wo.weight": (width, inner),
            "layer.1.layer_norm.weight": (width,),
        }
        bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        shapes: dict[str, tuple[int, ...]] = {
            _TOKEN_EMBEDDING: (_EMBEDDED_TOKENS, width),
            bias: (_BUCKETS, row.heads),
        }
        for number in range(row.layers if layers is None else layers):
            shapes |= {f"encoder.block.{number}.{name}": shape for name, shape in layer.items()}
        return {**shapes, "encoder.final_layer_norm.weight": (width,)}

    def sizes(self, row: Checkpoint) -> dict[str, object]:
        """See :meth:`NativeAdapter.sizes`."""
        heads_width, inner = _widths(row)
        return {
            "model_type": "t5",
            "num_layers": row.layers,
            "d_model": row.width,
            "num_heads": row.heads,
            "d_kv": heads_width // row.heads,
            "d_ff": inner,
            "vocab_size": _EMBEDDED_TOKENS,
        }

    def canonical_name(self, stored: str) -> str | None:
        """See :meth:`NativeAdapter.canonical_name`."""
        if stored.startswith(_NOT_NEEDED):
            return None
        return _TOKEN_EMBEDDING if stored == "encoder.embed_tokens.weight" else stored

    def empty_model(self, row: Checkpoint, layers: int | None, attention: str | None) -> nn.Module:
        """See :meth:`NativeAdapter.empty_model`."""
        from transformers import T5Config, T5EncoderModel  # noqa: PLC0415 - heavy, only here

        # the relative position bias is added to the scores, which FlashAttention never writes out;
        # transformers before 5 has no SDPA for it either
        fused = bool(getattr(T5EncoderModel, "_supports_sdpa", False))
        had = ("sdpa", "eager") if fused else ("eager",)
        if attention is not None and attention not in had:
            raise UnsupportedChoice(
                f"{row.name!r} has no attention {attention!r} here, but {' or '.join(had)}"
            )
        heads_width, inner = _widths(row)
        config = T5Config(
            vocab_size=_EMBEDDED_TOKENS,
            d_model=row.width,
            d_kv=heads_width // row.heads,
            d_ff=inner,
            num_layers=row.layers if layers is None else layers,
            num_heads=row.heads,
            relative_attention_num_buckets=_BUCKETS,
            relative_attention_max_distance=128,
            layer_norm_epsilon=1e-6,
            feed_forward_proj="relu",
            pad_token_id=_T5_PADDING,
            eos_token_id=_T5_EOS,
            attn_implementation=attention or had[0],
        )
        with torch.device("meta"):
            model: nn.Module = T5EncoderModel(config)
        return model

    def settle(self, model: nn.Module, placement: Placement) -> None:
        """Let both places of the token embedding be one; keep in float32 what float16 overflows.

        transformers does the latter too, by ``T5PreTrainedModel._keep_in_fp32_modules``.
        """
        model.get_submodule("encoder").register_module(
            "embed_tokens", model.get_submodule("shared")
        )
        if placement.dtype == torch.float16:
            for name, module in model.named_modules():
                if name.endswith(".wo"):
                    module.float()

    def arithmetic(self, row: Checkpoint, layers: int | None) -> Arithmetic:
        """Return the matrices of a layer."""
        heads_width, inner = _widths(row)
        return Block(
            layers=row.layers if layers is None else layers,
            width=row.width,
            attention_width=heads_width,
            feed_forward=inner,
            gated=False,
            special_tokens=1,
        )

    def _needed(
        self, stored: Iterable[tuple[str, torch.Tensor]]
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Pass on what is needed; the token embedding may be there under both of its names."""
        embedding: torch.Tensor | None = None
        for name, tensor in super()._needed(stored):
            if name == _TOKEN_EMBEDDING and embedding is not None:
                if not torch.equal(embedding, tensor):
                    raise WeightsError("two token embeddings that differ: the encoder has one")
                continue
            embedding = tensor if name == _TOKEN_EMBEDDING else embedding
            yield name, tensor


def _widths(row: Checkpoint) -> tuple[int, int]:
    """Width of all heads together, and of the feed-forward block."""
    if row.head_width is None or row.feed_forward is None:
        raise InputError(
            f"the row of {row.name!r} does not say how wide heads and feed-forward are"
        )
    return row.heads * row.head_width, row.feed_forward


ADAPTER = ProtT5Adapter()
