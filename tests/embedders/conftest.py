"""Small folders laid out like the hub's, made by the libraries themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from embedders.alphabet import VOCABULARY


@pytest.fixture(scope="session")
def esm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer stand-in of the 8M model, saved by transformers with its language head."""
    from transformers import EsmConfig, EsmForMaskedLM  # noqa: PLC0415 - heavy

    folder = tmp_path_factory.mktemp("esm")
    config = EsmConfig(
        vocab_size=33,
        mask_token_id=32,
        pad_token_id=1,
        hidden_size=320,
        num_hidden_layers=6,
        num_attention_heads=20,
        intermediate_size=1280,
        position_embedding_type="rotary",
        emb_layer_norm_before=False,
        token_dropout=True,
        layer_norm_eps=1e-5,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = EsmForMaskedLM(config)
        for name, parameter in model.named_parameters():
            # transformers leaves biases 0 and norms 1, which would hide names that were swapped
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, mean=float("norm" in name.lower()), std=0.1)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def dna_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain BERT over byte-pair tokens of nucleotides, as a stand-in of DNABERT-S."""
    from tokenizers import Tokenizer, models, processors, trainers  # noqa: PLC0415
    from transformers import BertConfig, BertModel  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("dna")
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106 - a token of a vocabulary
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    tokenizer.train_from_iterator(
        ["ACGTACGGTTAACCGGATATNRYSWKMBDHV" * 4, "TTTTAACGCGCGATATTAGC" * 4],
        trainers.BpeTrainer(vocab_size=64, special_tokens=special, show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "unk_token": "[UNK]",
                "cls_token": "[CLS]",
                "sep_token": "[SEP]",
                "pad_token": "[PAD]",
                "mask_token": "[MASK]",
            }
        ),
        encoding="utf-8",
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=128,
        pad_token_id=3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder
