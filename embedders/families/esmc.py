"""ESM-C (ESM Cambrian) on transformers' own ``EsmcModel``.

Weights are those in transformers' layout, ``biohub/ESMC-*-hf`` on the hub; the research layout of
``biohub/ESMC-*`` has other names, and its projections in one tensor, and is refused. The residues'
tokens are those of ESM-2 (``transformers/models/esmc/tokenization_esmc.py``).
"""

from __future__ import annotations

from torch import nn

from embedders.alphabet import BOS, EOS, MASK, PADDING, VOCABULARY, encode_batch
from embedders.arithmetic import Arithmetic, Block
from embedders.checkpoints import Checkpoint
from embedders.errors import InputError, UnsupportedChoice
from embedders.families.native import NativeAdapter, Tokens
from embedders.runtimes.encoder import Placement

_EMBEDDED_TOKENS = 64
"""Rows of the token embedding: more than there are tokens."""
_RESIDUES = {token: index for index, token in enumerate(VOCABULARY) if token.isalpha()}
_NOT_NEEDED = ("lm_head.", "classifier.", "score.")


class EsmcAdapter(NativeAdapter):
    """Loads ESM-C checkpoints."""

    tokens = Tokens(
        ids=_RESIDUES,
        stored={**_RESIDUES, "<cls>": BOS, "<pad>": PADDING, "<eos>": EOS},
        before=(BOS,),
        behind=(EOS,),
        padding=PADDING,
        encode=encode_batch,
    )
    description = {  # noqa: RUF012 - a constant of the class, as its annotation above says
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    }

    def shapes(self, row: Checkpoint, layers: int | None) -> dict[str, tuple[int, ...]]:
        """See :meth:`NativeAdapter.shapes`."""
        width, inner = row.width, _feed_forward(row)
        square = {
            f"self_attn.{name}.weight": (width, width)
            for name in ("q_proj", "k_proj", "v_proj", "o_proj")
        }
        norms = {
            f"{name}.{part}": (width,)
            for name in ("input_layernorm", "post_attention_layernorm")
            for part in ("weight", "bias")
        }
        layer = {
            **square,
            **{f"self_attn.{name}.weight": (width,) for name in ("q_norm", "k_norm")},
            **{f"mlp.{name}.weight": (inner, width) for name in ("gate_proj", "up_proj")},
            "mlp.down_proj.weight": (width, inner),
            **norms,
        }
        shapes: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (_EMBEDDED_TOKENS, width)}
        for number in range(row.layers if layers is None else layers):
            shapes |= {f"layers.{number}.{name}": shape for name, shape in layer.items()}
        return {**shapes, "norm.weight": (width,)}

    def sizes(self, row: Checkpoint) -> dict[str, object]:
        """See :meth:`NativeAdapter.sizes`."""
        return {
            "model_type": "esmc",
            "num_hidden_layers": row.layers,
            "hidden_size": row.width,
            "num_attention_heads": row.heads,
            "intermediate_size": _feed_forward(row),
            "vocab_size": _EMBEDDED_TOKENS,
        }

    def canonical_name(self, stored: str) -> str | None:
        """See :meth:`NativeAdapter.canonical_name`."""
        name = stored.removeprefix("esmc.")
        return None if name.startswith(_NOT_NEEDED) else name

    def empty_model(self, row: Checkpoint, layers: int | None, attention: str | None) -> nn.Module:
        """See :meth:`NativeAdapter.empty_model`."""
        import torch  # noqa: PLC0415 - beside transformers, which is heavy

        try:
            from transformers import EsmcConfig, EsmcModel  # noqa: PLC0415
        except ImportError:
            raise UnsupportedChoice(
                f"{row.name!r} needs transformers 5.16 or newer, the first with ESM-C; "
                "pip install -U transformers"
            ) from None
        config = EsmcConfig(
            vocab_size=_EMBEDDED_TOKENS,
            hidden_size=row.width,
            intermediate_size=_feed_forward(row),
            num_hidden_layers=row.layers if layers is None else layers,
            num_attention_heads=row.heads,
            pad_token_id=PADDING,
            mask_token_id=MASK,
            attn_implementation=attention or "sdpa",
        )
        with torch.device("meta"):
            model: nn.Module = EsmcModel(config)
        return model

    def settle(self, model: nn.Module, placement: Placement) -> None:
        """Compute the rotary frequencies, in float32 whatever the model's dtype."""
        rotary = model.get_submodule("rotary_emb")
        model.register_module("rotary_emb", type(rotary)(model.config).to(placement.device))

    def arithmetic(self, row: Checkpoint, layers: int | None) -> Arithmetic:
        """Return the matrices of a layer; its feed-forward block is gated."""
        return Block(
            layers=row.layers if layers is None else layers,
            width=row.width,
            attention_width=row.width,
            feed_forward=_feed_forward(row),
            gated=True,
            special_tokens=2,
        )


def _feed_forward(row: Checkpoint) -> int:
    if row.feed_forward is None:
        raise InputError(f"the row of {row.name!r} does not say how wide its feed-forward block is")
    return row.feed_forward


ADAPTER = EsmcAdapter()
