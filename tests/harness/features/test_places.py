"""Where a matrix lies in its file is known exactly or not at all."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.features import Format, Kind, Place, Shard, ShardCorrupt, read_shard, write_shard
from harness.features.places import place_in_archive

IDS = tuple(f"row-{number}" for number in range(300))
MATRIX = torch.randn(300, 17, generator=torch.Generator().manual_seed(0))


def at(place: Place, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    return np.fromfile(place.path, "<f4", count, offset=place.offset).reshape(shape)


def original(path: Path, **content: object) -> Path:
    torch.save({"ids": list(IDS), "data": MATRIX, "labels": [0] * len(IDS)} | content, path)
    return path


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("labels", [None, np.zeros(300, dtype=np.int64)])
def test_bytes_at_the_place_are_the_matrix(
    tmp_path: Path, form: Format, labels: np.ndarray | None
) -> None:
    path = tmp_path / f"shard.{form}"
    write_shard(path, Shard(Kind.MERGED, IDS, MATRIX, labels))
    shard = read_shard(path)
    assert shard.place is not None
    np.testing.assert_array_equal(at(shard.place, (300, 17)), MATRIX.numpy())


def test_place_in_a_file_of_the_original_pipeline_is_found(tmp_path: Path) -> None:
    shard = read_shard(original(tmp_path / "a.pt"))
    assert shard.place is not None
    np.testing.assert_array_equal(at(shard.place, (300, 17)), MATRIX.numpy())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"labels": torch.zeros(300, dtype=torch.int64)}, id="two storages"),
        pytest.param({"data": MATRIX.double()}, id="float64"),
        pytest.param({"data": MATRIX.half()}, id="float16"),
        pytest.param({"data": MATRIX.T.contiguous().T}, id="column by column"),
        pytest.param({"data": torch.cat((MATRIX, MATRIX))[300:]}, id="a view"),
    ],
)
def test_matrix_that_does_not_lie_there_row_by_row_alone_has_no_place(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    shard = read_shard(original(tmp_path / "a.pt", **content))
    assert shard.place is None
    torch.testing.assert_close(shard.matrix, MATRIX, rtol=1e-3, atol=1e-3)


def test_file_from_before_archives_has_no_place(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    content = {"ids": list(IDS), "data": MATRIX}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    assert read_shard(path).place is None


@pytest.mark.parametrize("change", ["big-endian", "compressed"])
def test_archive_of_another_byte_order_or_compressed_has_no_place(
    tmp_path: Path, change: str
) -> None:
    plain, changed = original(tmp_path / "a.pt"), tmp_path / "b.pt"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(changed, "w") as target:
        for member in source.infolist():
            data = source.read(member)
            if change == "big-endian" and member.filename.endswith("byteorder"):
                data = b"big"
            packed = change == "compressed" and member.filename.endswith("data/0")
            method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            target.writestr(member.filename, data, method)
    assert place_in_archive(plain, MATRIX) is not None
    assert place_in_archive(changed, MATRIX) is None


@pytest.mark.parametrize("form", Format)
def test_number_that_is_none_is_found_at_the_place(tmp_path: Path, form: Format) -> None:
    path = tmp_path / f"shard.{form}"
    write_shard(path, Shard(Kind.MERGED, IDS, MATRIX))
    place = read_shard(path).place
    assert place is not None
    with path.open("rb+") as file:
        file.seek(place.offset + (123 * 17 + 5) * 4)
        file.write(np.float32("nan").tobytes())
    with pytest.raises(ShardCorrupt, match=r"NaN or infinity, 1: 'row-123'"):
        read_shard(path)


def test_sum_that_overflows_is_no_reason_to_refuse_finite_numbers() -> None:
    Shard(Kind.PROTEIN, ("a",), torch.full((1, 4), 3e38))


def test_shard_whose_file_ends_within_its_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard.pt"
    write_shard(path, Shard(Kind.MERGED, IDS, MATRIX))
    whole = read_shard(path)
    assert whole.place is not None
    short = Path(shutil.copy(path, tmp_path / "short.pt"))
    os.truncate(short, whole.place.offset + 17 * 4 * 3)
    with pytest.raises(ValueError, match=r"short\.pt: ends within row 3"):
        Shard(Kind.MERGED, IDS, MATRIX, None, Place(short, whole.place.offset))
