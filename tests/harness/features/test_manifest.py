from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedders.contract import Truncation, WeightsIdentity
from embedders.errors import InputError
from harness.features import Kind, Manifest, ManifestError, Part, part_of, read_manifest
from harness.features.manifest import ShardEntry, Source, write_manifest

MakeEmbedder = Callable[..., Any]


@pytest.fixture
def manifest(make_embedder: MakeEmbedder) -> Manifest:
    spec = make_embedder().spec
    return Manifest(
        kind=Kind.PROTEIN,
        width=3,
        parts=(part_of(spec),),
        embedder=spec,
        sources=(Source("in.fa", "1" * 64, 5),),
        shard_size=2,
        created="2025-01-01T00:00:00+00:00",
        shards=(ShardEntry("shard-00000.pt", 2, "2" * 64), ShardEntry("b.pt", 1, "3" * 64)),
        records=5,
        embedded=3,
        rejected=2,
        complete=True,
        fixes={"blank": 7},
        versions={"torch": "2.13.0"},
    )


def test_a_manifest_reads_back_equal_with_its_enumerations(
    tmp_path: Path, manifest: Manifest
) -> None:
    write_manifest(tmp_path, manifest)
    read = read_manifest(tmp_path)
    assert read == manifest
    assert read.kind is Kind.PROTEIN
    assert read.embedder is not None
    assert read.embedder.truncation is Truncation.TRUNCATE


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("width",), "3", "expected int, got '3'"),
        (("width",), 3.0, "expected int, got 3.0"),
        (("width",), True, "expected int, got True"),
        (("complete",), 1, "expected bool, got 1"),
        (("kind",), "rna", r"'rna' is not a valid Kind @ \$.kind"),
        (("surprise",), 1, "surprise"),
        (("width",), 4, "do not sum to 4"),
        (("embedded",), 4, "5 records in, but 4 embedded and 2 rejected"),
        (("rejected",), 3, "5 records in, but 3 embedded and 3 rejected"),
        (("shards", 0, "rows"), 0, "at least 1 row"),
        (("shards", 0, "rows"), 1, "do not sum to 3 embedded"),
        (("shards", 0, "file"), "../x.pt", "plain name"),
        (("shards", 0, "file"), "/x.pt", "plain name"),
        (("shards", 0, "file"), "b.pt", "listed twice"),
        (("schema",), "embedding-folder/2", "this version reads 'embedding-folder/1'"),
    ],
)
def test_a_manifest_that_was_tampered_with_is_refused_by_name(
    tmp_path: Path, manifest: Manifest, path: tuple[Any, ...], value: object, problem: str
) -> None:
    write_manifest(tmp_path, manifest)
    document = json.loads((tmp_path / "manifest.json").read_text())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ManifestError, match=rf"manifest\.json: .*{problem}"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": NaN}', "\udcff", "[" * 9999])
def test_what_is_no_strict_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ManifestError, match=r"strict JSON|schema"):
        read_manifest(tmp_path)


def test_a_part_depends_on_what_is_computed_and_not_on_how(make_embedder: MakeEmbedder) -> None:
    spec = make_embedder().spec
    how: dict[str, Any] = {
        "runtime": "other",
        "dtype": "bfloat16",
        "device": "cuda",
        "versions": (),
    }
    for key, value in how.items():
        assert part_of(replace(spec, **{key: value})) == part_of(spec)
    what: dict[str, Any] = {
        "name": "other",
        "width": 4,
        "weights": WeightsIdentity("random", "1" * 64),
        "truncation": Truncation.LEGACY,
        "window_residues": 1022,
        "cleaning_policy": "toy-2",
    }
    for key, value in what.items():
        assert part_of(replace(spec, **{key: value})).sha256 != part_of(spec).sha256


def test_the_same_weights_from_another_place_are_the_same_part(
    make_embedder: MakeEmbedder,
) -> None:
    spec = make_embedder().spec
    moved = replace(spec, weights=WeightsIdentity("folder", spec.weights.sha256))
    assert part_of(moved) == part_of(spec)


def test_a_part_without_columns_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        Part("x", Kind.PROTEIN, 0, None)
