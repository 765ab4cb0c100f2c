from __future__ import annotations

from pathlib import Path

import pytest
import torch

from embedders.errors import UnsupportedChoice
from embedders.restricted import NotPlain, check_torch, is_plain, load_plain
from tests.payload import Payload


def test_code_in_a_file_is_named_and_not_run_and_no_way_round_is_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Payload()}, tmp_path / "x.pt")
    with pytest.raises(NotPlain, match=r"it names posix\.mkdir, which is not run") as caught:
        load_plain(tmp_path / "x.pt")
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "payload-was-run").exists()


def test_tensors_and_plain_values_come_back(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "b": [1, "x", 0.5, None]}, tmp_path / "x.pt")
    content = load_plain(tmp_path / "x.pt")
    assert isinstance(content, dict)
    assert content["b"] == [1, "x", 0.5, None]
    with pytest.raises(FileNotFoundError):
        load_plain(tmp_path / "none.pt")


@pytest.mark.parametrize("version", ["1.13.1", "2.5.1", "2.5.1+cu121"])
def test_a_torch_whose_restriction_can_be_escaped_is_refused(version: str) -> None:
    with pytest.raises(UnsupportedChoice, match="CVE-2025-32434"):
        check_torch(version)


@pytest.mark.parametrize("version", ["2.6.0", "2.6.0a0+git1", "2.13.0+cpu", torch.__version__])
def test_a_torch_since_the_repair_is_taken(version: str) -> None:
    check_torch(version)


def test_a_tensor_that_only_pretends_its_size_is_not_plain() -> None:
    assert is_plain(torch.ones(3, 4))
    assert is_plain(torch.ones(3, 4).T)
    assert not is_plain(torch.ones(1).expand(10**9, 10**6))
    assert not is_plain(torch.ones(2, 2).to_sparse())
    assert not is_plain(torch.ones(2, device="meta"))
    assert not is_plain(torch.ones(2, dtype=torch.int64))
