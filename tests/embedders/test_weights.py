"""Weights from files and from seeds: what is read, what is refused, and how it is identified."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from embedders import RUNTIMES, UnsupportedChoice, WeightsError, checkpoint, load
from embedders.checkpoints import Architecture
from embedders.files import weight_files
from embedders.naming import FREQUENCIES, parameter_shapes
from embedders.weights import folder_weights, open_weights, random_weights

CPU = torch.device("cpu")
ARCHITECTURE = Architecture(layers=2, width=64, heads=4)
LAYER_FREQUENCIES = "esm.encoder.layer.{}.attention.self.rotary_embeddings.inv_freq"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def tensors(esm_folder: Path) -> Tensors:
    """What the stand-in holds, without rotary frequencies: a test may put its own."""
    stored: Tensors = load_file(esm_folder / "model.safetensors")
    return {name: tensor for name, tensor in stored.items() if "inv_freq" not in name}


@pytest.fixture
def folder(esm_folder: Path, tmp_path: Path) -> Path:
    """A folder with the configuration of the stand-in and no weights yet."""
    (tmp_path / "config.json").write_bytes((esm_folder / "config.json").read_bytes())
    return tmp_path


def _read(folder: Path) -> Tensors:
    stream = folder_weights(checkpoint("esm2-8m"), folder, source="folder")
    return {name: tensor.clone() for name, tensor in stream}


def _identity(folder: Path) -> str:
    stream = folder_weights(checkpoint("esm2-8m"), folder, source="folder")
    for _ in stream:
        pass
    return stream.identity().sha256


def _save_shards(folder: Path, tensors: Tensors) -> None:
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2]}
    parts["model-00002-of-00002.safetensors"] = names[1::2]
    for part, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / part)
    index = {"weight_map": {name: part for part, held in parts.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def _save_pytorch(folder: Path, tensors: Tensors) -> None:
    torch.save(tensors, folder / "pytorch_model.bin")


@pytest.mark.parametrize("save", [_save_shards, _save_pytorch])
def test_tensors_and_identity_do_not_depend_on_the_file_format(
    esm_folder: Path, folder: Path, tensors: Tensors, save: Callable[[Path, Tensors], None]
) -> None:
    save(folder, tensors)
    expected, found = _read(esm_folder), _read(folder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert _identity(folder) == _identity(esm_folder)


def test_identity_changes_with_a_single_value(
    esm_folder: Path, folder: Path, tensors: Tensors
) -> None:
    tensors["esm.encoder.emb_layer_norm_after.bias"][7] += 1e-3
    save_file(tensors, folder / "model.safetensors")
    assert _identity(folder) != _identity(esm_folder)


def test_safetensors_are_preferred(esm_folder: Path, folder: Path, tensors: Tensors) -> None:
    save_file(tensors, folder / "model.safetensors")
    torch.save({"other": torch.zeros(1)}, folder / "pytorch_model.bin")
    assert _identity(folder) == _identity(esm_folder)


def test_heads_are_left_out_and_frequencies_come_once(esm_folder: Path) -> None:
    expected = set(parameter_shapes(checkpoint("esm2-8m").architecture())) | {FREQUENCIES}
    assert _read(esm_folder).keys() == expected


def test_missing_unexpected_and_misshapen_tensors_are_all_named(
    folder: Path, tensors: Tensors
) -> None:
    del tensors["esm.encoder.layer.1.output.dense.bias"]
    tensors["esm.adapter.weight"] = torch.zeros(2)
    tensors["esm.encoder.emb_layer_norm_after.bias"] = torch.zeros(7)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(WeightsError) as caught:
        load("esm2-8m", weights=str(folder), device="cpu")
    message = str(caught.value)
    assert "missing encoder.layer.1.output.dense.bias" in message
    assert "unexpected adapter.weight" in message
    assert "encoder.emb_layer_norm_after.bias is (7,), not (320,)" in message


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_frequencies_of_the_file_are_used_rounded_as_they_are(
    folder: Path, tensors: Tensors, runtime: str
) -> None:
    # published files hold them rounded to half precision, one copy per layer
    for name, tensor in tensors.items():
        if "attention.self" in name:
            tensor *= 4  # untrained attention is too flat for positions to matter  # noqa: PLW2901
    plain = load_and_embed(folder, tensors, runtime)
    rounded = (1.0 / 10_000 ** (torch.arange(0, 16, 2) / 16)).half().float()
    for layer in range(6):
        tensors[LAYER_FREQUENCIES.format(layer)] = rounded.clone()
    found = load_and_embed(folder, tensors, runtime)
    assert torch.equal(_read(folder)[FREQUENCIES], rounded)
    assert (found - plain).abs().max() > 1e-5


def load_and_embed(folder: Path, tensors: Tensors, runtime: str) -> torch.Tensor:
    save_file(tensors, folder / "model.safetensors")
    embedder = load("esm2-8m", weights=str(folder), runtime=runtime, device="cpu")
    return embedder.embed(["MKTAYIAKQRQISFVKSHFSRQ" * 8])


def test_frequencies_that_differ_between_layers_are_refused(folder: Path, tensors: Tensors) -> None:
    right = 1.0 / 10_000 ** (torch.arange(0, 16, 2) / 16)
    tensors[LAYER_FREQUENCIES.format(0)] = right
    tensors[LAYER_FREQUENCIES.format(1)] = right.half().float()
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="differ between layers"):
        _read(folder)


def test_frequencies_of_another_base_are_refused(folder: Path, tensors: Tensors) -> None:
    tensors["esm.rotary_embeddings.inv_freq"] = 1.0 / 500.0 ** (torch.arange(0, 16, 2) / 16)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="rotary frequencies do not follow"):
        _read(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 480),
        ("num_hidden_layers", 12),
        ("num_attention_heads", 16),
        ("position_embedding_type", "absolute"),
        ("vocab_size", 34),
        ("emb_layer_norm_before", True),
        ("layer_norm_eps", 1e-12),
    ],
)
def test_a_configuration_of_another_model_is_refused(
    esm_folder: Path, tmp_path: Path, key: str, value: object
) -> None:
    config = json.loads((esm_folder / "config.json").read_text(encoding="utf-8"))
    config[key] = value
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(WeightsError, match=f"esm2-8m: {key} is {value!r}, not"):
        _read(tmp_path)


def test_another_vocabulary_is_refused(folder: Path, tensors: Tensors) -> None:
    save_file(tensors, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("<cls>\n<pad>\nA\n", encoding="utf-8")
    with pytest.raises(WeightsError, match="not the ESM-2 vocabulary"):
        _read(folder)


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_token_dropout_is_as_the_configuration_states(
    folder: Path, tensors: Tensors, runtime: str
) -> None:
    scaled = load_and_embed(folder, tensors, runtime)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["token_dropout"] = False
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    # without it, embeddings 0.88 times as large are what the scaling would have made
    tensors["esm.embeddings.word_embeddings.weight"] *= 0.88
    unscaled = load_and_embed(folder, tensors, runtime)
    torch.testing.assert_close(unscaled, scaled, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (None, b"", "config.json is missing"),
        ("config.json", b"{", "cannot be read as JSON"),
        ("config.json", b"[1]", "not a JSON object"),
    ],
)
def test_a_folder_without_a_usable_configuration_says_so(
    tmp_path: Path, name: str | None, content: bytes, reason: str
) -> None:
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        load("esm2-8m", weights=str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("README.md", b"", "holds no weights"),
        ("model.safetensors", b"garbage", "cannot be read"),
        ("pytorch_model.bin", b"garbage", "cannot be read as tensors and plain values"),
        ("model.safetensors.index.json", b"{}", "no weight_map"),
        ("model.safetensors.index.json", b'{"weight_map":{"a":"x"}}', "not there: x"),
        ("model.safetensors.index.json", b'{"weight_map":{"a":"../x"}}', "outside its folder"),
    ],
)
def test_a_folder_without_usable_weights_says_so(
    folder: Path, name: str, content: bytes, reason: str
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        load("esm2-8m", weights=str(folder), device="cpu")


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.marker,))


def test_code_in_a_pickle_is_never_run(folder: Path) -> None:
    marker = folder / "executed"
    torch.save({"esm.x": _Payload(marker)}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="cannot be read as tensors and plain values"):
        load("esm2-8m", weights=str(folder), device="cpu")
    assert not marker.exists()
    # the payload is a real one: copying calls what an ordinary unpickler would have called
    copy.copy(_Payload(marker))
    assert marker.exists()


def test_a_file_of_the_hub_cache_that_is_not_its_hash_is_refused(
    folder: Path, tensors: Tensors
) -> None:
    blob = folder / "blob"
    save_file(tensors, blob)
    right = folder / hashlib.sha256(blob.read_bytes()).hexdigest()
    blob.rename(right)
    (folder / "model.safetensors").symlink_to(right)
    assert _read(folder)
    content = bytearray(right.read_bytes())
    content[-1] ^= 1
    right.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        _read(folder)


def _into_hub_cache(path: Path) -> Path:
    """Move a file to a blob named by its SHA-256, as the hub's cache does, and link to it."""
    blob = path.parent / hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(blob)
    path.symlink_to(blob)
    return blob


def _flip_last_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("save", [_save_shards, _save_pytorch])
def test_a_shard_or_pickle_of_the_hub_cache_that_is_not_its_hash_is_refused(
    folder: Path, tensors: Tensors, save: Callable[[Path, Tensors], None]
) -> None:
    save(folder, tensors)
    blobs = [_into_hub_cache(path) for path in weight_files(folder)]
    assert _read(folder)
    _flip_last_bit(blobs[-1])
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        _read(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_that_is_not_its_pinned_hash_is_refused_before_it_is_read(
    folder: Path, tensors: Tensors, name: str
) -> None:
    path = folder / name
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    pinned = replace(
        checkpoint("esm2-8m"), weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    assert list(folder_weights(pinned, folder, source="mini"))
    path.write_bytes(b"garbage, which a reader would complain of in other words")
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        list(folder_weights(pinned, folder, source="mini"))


def test_a_folder_that_the_user_names_may_hold_other_weights(
    folder: Path, tensors: Tensors
) -> None:
    save_file(tensors, folder / "model.safetensors")
    pinned = replace(checkpoint("esm2-8m"), weights_sha256="0" * 64)
    assert list(folder_weights(pinned, folder, source="folder"))


def test_random_weights_depend_on_seed_and_name_only() -> None:
    one = dict(random_weights(ARCHITECTURE, 4, CPU))
    deeper = dict(random_weights(Architecture(layers=3, width=64, heads=4), 4, CPU))
    assert all(torch.equal(deeper[name], one[name]) for name in one)
    other = dict(random_weights(ARCHITECTURE, 5, CPU))
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(other[name], one[name])
    assert not torch.equal(one[name], one[name.replace("query", "key")])


def test_random_weights_are_those_of_an_untrained_model() -> None:
    tensors = dict(random_weights(Architecture(layers=1, width=256, heads=4), 0, CPU))
    matrix = tensors["encoder.layer.0.intermediate.dense.weight"]
    # 262,144 draws: the standard error of the standard deviation is 0.02 / sqrt(2 n) = 3e-5
    assert matrix.std().item() == pytest.approx(0.02, abs=2e-4)
    assert matrix.mean().item() == pytest.approx(0.0, abs=2e-4)
    assert torch.equal(tensors["encoder.layer.0.LayerNorm.weight"], torch.ones(256))
    assert torch.equal(tensors["encoder.layer.0.LayerNorm.bias"], torch.zeros(256))


def test_random_identity_is_the_seed_and_the_shape() -> None:
    def identity(weights: str, layers: int) -> str:
        stream = open_weights(checkpoint("esm2-8m"), weights, device=CPU, layers=layers)
        for _ in stream:
            pass
        return stream.identity().sha256

    assert identity("random", 1) == identity("random:0", 1)
    assert len({identity("random", 1), identity("random:1", 1), identity("random", 2)}) == 3


def test_weights_are_not_identified_before_they_are_read() -> None:
    with pytest.raises(WeightsError, match="read to the end"):
        random_weights(ARCHITECTURE, 0, CPU).identity()


@pytest.mark.parametrize(
    ("name", "weights", "layers", "reason"),
    [
        ("esm2-3b", "mini", None, "no bundled weights"),
        ("esm2-8m", "hub", 2, "needs random weights"),
        ("esm2-8m", "random:x", None, "needs a whole number"),
        ("mini-baseline", "hub", None, "is not on the hub"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(
    name: str, weights: str, layers: int | None, reason: str
) -> None:
    with pytest.raises(UnsupportedChoice, match=reason):
        load(name, weights=weights, layers=layers, device="cpu")
