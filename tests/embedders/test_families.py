"""ESM-C and ProtT5 against transformers itself: its classes, its files, its tokenizers."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from embedders import CHECKPOINTS, Checkpoint, Family, UnsupportedChoice, WeightsError, load
from embedders.families import FAMILIES, adapter_of
from embedders.families.native import NativeAdapter
from embedders.families.prott5 import encode
from embedders.runtimes import Placement
from tests.embedders.tiny import ROWS, load_tiny
from tests.payload import MARK, Payload

SEQUENCES = ["MKTAYIAKQRQISFVKSHFSRQ", "M", "ACDEFGHIKLMNPQRSTVWYBZXUO" * 4, "WWWW"]
NATIVE = [row for row in CHECKPOINTS.values() if row.family in (Family.ESMC, Family.PROTT5)]


def _library_model(row: Checkpoint, *, task: bool = False) -> Any:  # noqa: ANN401 - transformers' own
    """Build transformers' own class, with its language head if asked, of a row's sizes."""
    import transformers as t  # noqa: PLC0415 - heavy

    if row.family is Family.ESMC:
        config = t.EsmcConfig(
            hidden_size=row.width,
            intermediate_size=row.feed_forward,
            num_hidden_layers=row.layers,
            num_attention_heads=row.heads,
        )
        return (t.EsmcForMaskedLM if task else t.EsmcModel)(config)
    config = t.T5Config(
        vocab_size=128,
        d_model=row.width,
        d_kv=row.head_width,
        d_ff=row.feed_forward,
        num_layers=row.layers,
        num_heads=row.heads,
    )
    return (t.T5ForConditionalGeneration if task else t.T5EncoderModel)(config)


@pytest.fixture(scope="module", params=list(ROWS))
def family(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def saved(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as transformers saves a whole model, heads and decoder included."""
    folder = tmp_path_factory.mktemp(family)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = _library_model(ROWS[family], task=True)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                # 0 and 1, as they begin, would hide tensors that were swapped
                nn.init.normal_(parameter, mean=1.0, std=0.2)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "folder"))


def test_every_family_has_a_module_with_its_adapter() -> None:
    assert set(FAMILIES) == set(Family)
    assert all(adapter_of(row) is adapter_of(row) for row in CHECKPOINTS.values())


@pytest.mark.parametrize("row", NATIVE, ids=lambda row: row.name)
def test_shapes_and_parameters_are_those_of_transformers_own_model(row: Checkpoint) -> None:
    with torch.device("meta"):
        model = _library_model(row)
    theirs = {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}
    adapter = adapter_of(row)
    assert isinstance(adapter, NativeAdapter)
    assert adapter.shapes(row, None) == theirs
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert row.parameters == counted == adapter.parameters(row, None)
    outline = adapter.outline(row, row.default_runtime)
    assert (outline.width, outline.parameters) == (row.width, counted)


@pytest.mark.parametrize(
    ("name", "width"), [("esmc-300m", 960), ("esmc-600m", 1152), ("prott5-xl", 1024)]
)
def test_a_full_size_width_with_one_random_layer_embeds(name: str, width: int) -> None:
    embedder = load(name, weights="random", layers=1, device="cpu")
    assert embedder.embed(["MKTAYIAKQR", "MK"]).shape == (2, width)


def test_six_hundred_million_are_the_published_file() -> None:
    # biohub/ESMC-600M's float32 model.safetensors has 2,300,201,352 bytes; its language head is
    # a square matrix with bias, a norm, and a projection to 64 tokens
    width = 1152
    head = width * width + width + 2 * width + 64 * width + 64
    rest = 2_300_201_352 - 4 * (CHECKPOINTS["esmc-600m"].parameters + head)
    assert 0 < rest < 100_000  # the file's own header


@pytest.mark.parametrize("runtime", ["huggingface", "reference"])
@pytest.mark.parametrize("attention", [None, "eager"])
def test_vectors_are_means_of_the_librarys_own_states(
    saved: Path, family: str, runtime: str, attention: str | None
) -> None:
    import transformers as t  # noqa: PLC0415 - heavy

    kind = t.EsmcModel if family == "esmc" else t.T5EncoderModel
    model = kind.from_pretrained(saved, attn_implementation="eager").eval()
    ids = _ids(family)
    found = load_tiny(family, weights=str(saved), runtime=runtime, attention=attention).embed(
        SEQUENCES
    )
    for row, sequence in zip(found, SEQUENCES, strict=True):
        tokens = ids(sequence)
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([tokens])).last_hidden_state[0]
        first = len(tokens) - len(sequence) - 1
        expected = states[first : first + len(sequence)].mean(dim=0)
        torch.testing.assert_close(row, expected, atol=1e-5, rtol=0)


def _ids(family: str) -> Callable[[str], list[int]]:
    """Token ids by the library's tokenizer; for ProtT5 by the list that its ports publish."""
    if family == "esmc":
        from transformers import EsmcTokenizer  # noqa: PLC0415 - heavy

        tokenizer = EsmcTokenizer()
        return lambda sequence: list(tokenizer(sequence)["input_ids"])
    published = dict(zip("ALGVSREDTIPKFQNYMHWCX", range(3, 24), strict=True))
    return lambda sequence: [*(published.get(each, 23) for each in sequence), 1]


def test_esm_c_has_the_tokens_of_the_librarys_own_tokenizer() -> None:
    from transformers import EsmcTokenizer  # noqa: PLC0415 - heavy

    adapter = adapter_of(ROWS["esmc"])
    assert isinstance(adapter, NativeAdapter)
    residues = "ABCDEFGHIKLMNOPQRSTUVWXYZ"
    expected = list(EsmcTokenizer()(residues)["input_ids"])
    assert adapter.tokens.alone(residues) == expected
    assert adapter.tokens.encode([residues])[0][0].tolist() == expected


def test_prott5_reads_rare_residues_as_x() -> None:
    tokens, lengths = encode(["UZOB", "XXXX", "MK"])
    assert tokens[0].tolist() == tokens[1].tolist() == [23, 23, 23, 23, 1]
    assert tokens[2].tolist() == [19, 14, 1, 0, 0]
    assert lengths.tolist() == [4, 4, 2]


def test_files_of_pickled_tensors_give_the_same_vectors(folder: Path, family: str) -> None:
    expected = load_tiny(family, weights=str(folder)).embed(SEQUENCES)
    tensors = load_file(folder / "model.safetensors")
    if family == "prott5":
        # an older file holds the one embedding under each of its names
        tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"]
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert torch.equal(load_tiny(family, weights=str(folder)).embed(SEQUENCES), expected)


def test_a_payload_in_the_weights_is_not_run(
    folder: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"shared.weight": Payload()}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="cannot be read as tensors and plain values"):
        load_tiny(family, weights=str(folder))
    assert not MARK.exists()


def test_two_token_embeddings_that_differ_are_refused(folder: Path, family: str) -> None:
    if family != "prott5":
        pytest.skip("only T5 has the embedding under two names")
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"] + 1
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="two token embeddings that differ"):
        load_tiny(family, weights=str(folder))


def test_tensors_that_do_not_fit_are_listed(folder: Path, family: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    names = sorted(name for name in tensors if "layer" in name or "block" in name)
    first = next(name for name in names if not name.startswith("decoder"))
    tensors["esmc.surplus" if family == "esmc" else "encoder.surplus"] = tensors.pop(first)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"unexpected .*surplus; missing "):
        load_tiny(family, weights=str(folder))


@pytest.mark.parametrize(
    ("esmc", "prott5", "value"),
    [
        ("num_hidden_layers", "num_layers", 4),
        ("intermediate_size", "d_ff", 64),
        ("model_type", "model_type", "esm"),
        ("hidden_act", "feed_forward_proj", "gated-gelu"),
    ],
)
def test_a_folder_of_another_model_is_refused(
    folder: Path, family: str, esmc: str, prott5: str, value: object
) -> None:
    key = esmc if family == "esmc" else prott5
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {key: value}
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(WeightsError, match=f"does not describe {ROWS[family].name}: {key} is"):
        load_tiny(family, weights=str(folder))


def test_the_tokenizer_that_transformers_saves_is_accepted(folder: Path, family: str) -> None:
    if family == "esmc":
        from transformers import EsmcTokenizer  # noqa: PLC0415 - heavy

        EsmcTokenizer().save_pretrained(folder)
    else:
        (folder / "spiece.model").write_bytes(_spiece(_PUBLISHED))
    assert load_tiny(family, weights=str(folder)).embed(["MK"]).shape == (1, 32)


@pytest.mark.parametrize("file", ["tokenizer.json", "spiece.model"])
def test_a_tokenizer_with_other_ids_is_refused(folder: Path, family: str, file: str) -> None:
    pieces = ["<pad>", "</s>", "<unk>", "▁A", "▁G", "▁L"]
    listed = {"model": {"type": "Unigram", "vocab": [[piece, 0.0] for piece in pieces]}}
    content = _spiece(pieces) if file.endswith("model") else json.dumps(listed).encode()
    (folder / file).write_bytes(content)
    with pytest.raises(WeightsError, match=f"{file} is not the tokenizer of .*'[LG]' is"):
        load_tiny(family, weights=str(folder))


@pytest.mark.parametrize("content", [b"\x0a\xff", b"\x0a\x02\x0a\x05", b"\x0b", b"\x0a\x00"])
def test_a_damaged_tokenizer_is_refused(folder: Path, family: str, content: bytes) -> None:
    (folder / "spiece.model").write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as a SentencePiece model"):
        load_tiny(family, weights=str(folder))


_PUBLISHED = ["<pad>", "</s>", "<unk>", *(f"▁{each}" for each in "ALGVSREDTIPKFQNYMHWCXBOUZ")]


def _spiece(pieces: list[str]) -> bytes:
    """Write a SentencePiece model by hand: each piece with a score, then a field of settings."""
    whole = b""
    for piece in pieces:
        text = piece.encode()
        inner = b"\x0a" + bytes([len(text)]) + text + b"\x15" + b"\0\0\xc0\xbf" + b"\x18\x01"
        whole += b"\x0a" + bytes([len(inner)]) + inner
    return whole + b"\x12\x02\x18\x01"


def test_float16_on_a_cpu_is_refused(family: str) -> None:
    with pytest.raises(UnsupportedChoice, match="float16 on a CPU is refused"):
        load_tiny(family, dtype="float16")


def test_prott5_has_no_flash_attention() -> None:
    with pytest.raises(UnsupportedChoice, match="has no attention 'flash_attention_2' here"):
        load_tiny("prott5", attention="flash_attention_2")


def test_the_reference_has_no_choice_of_attention(family: str) -> None:
    with pytest.raises(UnsupportedChoice, match="writes attention out"):
        load_tiny(family, runtime="reference", attention="sdpa")


def test_an_older_transformers_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers  # noqa: PLC0415 - heavy

    class Older:
        T5Config = transformers.T5Config

    monkeypatch.setitem(sys.modules, "transformers", Older)
    with pytest.raises(UnsupportedChoice, match=r"needs transformers 5\.16 or newer"):
        load_tiny("esmc")


def test_rotary_frequencies_stay_float32_in_half_precision() -> None:
    embedder: Any = load_tiny("esmc", dtype="bfloat16")
    frequencies = embedder.encoder.model.rotary_emb.inv_freq
    assert frequencies.dtype == torch.float32
    # RoFormer, Su et al.: 10000^(-2i / head width), here of 16
    expected = [10_000 ** (-2 * i / 16) for i in range(8)]
    torch.testing.assert_close(frequencies, torch.tensor(expected))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_padding_of_any_content_has_no_influence(family: str, dtype: str) -> None:
    embedder: Any = load_tiny(family, dtype=dtype)
    encoder = embedder.encoder
    alone = encoder.pooled(["MKT"], 1024)
    beside = encoder.pooled(["MKT", "WYWYWYWYWYWYWYWYWYWY" * 5], 1024)
    limit = 1 - 1e-6 if dtype == "float32" else 0.999
    assert torch.cosine_similarity(alone, beside[:1]).min() >= limit


def test_float16_keeps_in_float32_what_it_would_overflow() -> None:
    # as transformers does: T5PreTrainedModel._keep_in_fp32_modules
    adapter = adapter_of(ROWS["prott5"])
    assert isinstance(adapter, NativeAdapter)
    model = _library_model(ROWS["prott5"]).half()
    adapter.settle(model, Placement(torch.device("cpu"), torch.float16))
    kept = {name for name, tensor in model.named_parameters() if tensor.dtype == torch.float32}
    assert kept == {f"encoder.block.{n}.layer.1.DenseReluDense.wo.weight" for n in range(3)}


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_gpu_gives_the_vectors_of_the_cpu(family: str, saved: Path, dtype: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    expected = load_tiny(family, weights=str(saved)).embed(SEQUENCES)
    found = load_tiny(family, weights=str(saved), dtype=dtype, device="cuda").embed(SEQUENCES)
    assert torch.cosine_similarity(found, expected).min() >= 0.999
    if dtype == "float32":
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
