"""Devices and dtypes: what is refused, and that nothing is changed silently."""

from __future__ import annotations

import pytest
import torch

from embedders import UnknownName, UnsupportedChoice, load
from embedders.placement import choose_device, choose_dtype


def test_auto_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnsupportedChoice, match="'cuda' was asked for, but torch finds 0"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UnsupportedChoice, match="finds 2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:x", "", "meta"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedChoice, match="device must be"):
        choose_device(name)


def test_float16_is_refused_on_a_cpu_only() -> None:
    with pytest.raises(UnsupportedChoice, match="choose bfloat16 or float32"):
        choose_dtype("float16", torch.device("cpu"))
    assert choose_dtype("float16", torch.device("cuda")) is torch.float16


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"dtype": "float8"}, "unknown dtype"),
        ({"attention": "flash", "runtime": "huggingface"}, "unknown attention"),
        ({"runtime": "vllm"}, "unknown runtime"),
        ({"truncation": "no"}, "unknown truncation"),
    ],
)
def test_an_unknown_choice_is_named(choices: dict[str, str], reason: str) -> None:
    with pytest.raises(UnknownName, match=reason):
        load("esm2-8m", weights="random", layers=1, **choices)  # type: ignore[arg-type]


def test_fair_esm_has_no_choice_of_attention() -> None:
    with pytest.raises(UnsupportedChoice, match="one attention of its own"):
        load("esm2-8m", weights="random", runtime="fair-esm", attention="sdpa", device="cpu")


def test_flash_attention_says_what_it_lacks() -> None:
    with pytest.raises(UnsupportedChoice, match="a CUDA device, bfloat16 or float16"):
        load(
            "esm2-8m",
            weights="random",
            layers=1,
            runtime="huggingface",
            attention="flash_attention_2",
            device="cpu",
        )


@pytest.mark.parametrize(
    "choice", [{"weights": "hub"}, {"dtype": "bfloat16"}, {"layers": 2}, {"device": "cuda"}]
)
def test_kmer_frequencies_have_no_such_choice(choice: dict[str, str]) -> None:
    with pytest.raises(UnsupportedChoice):
        load("kmer4", **choice)  # type: ignore[arg-type]
