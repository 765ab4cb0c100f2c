from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedders.contract import Truncation, WeightsIdentity
from embedders.errors import InputError
from harness.features import (
    Format,
    Kind,
    Manifest,
    ManifestError,
    Part,
    part_of,
    read_manifest,
)
from harness.features.manifest import Budget, FileEntry, Source, Window, write_manifest

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
        shard_size=3,
        windows=(
            Window(
                0,
                3,
                FileEntry("shard-00000.pt", 2, "2" * 64),
                FileEntry("rejects-00000.csv", 1, "4" * 64),
                residues=40,
                fixes={"blank": 7},
            ),
            Window(1, 2, FileEntry("b.pt", 2, "3" * 64), None, residues=2, fixes={"blank": 1}),
        ),
        complete=True,
        budget=Budget(4096, 2048),
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


def test_totals_are_sums_over_the_windows_and_are_written_down(
    tmp_path: Path, manifest: Manifest
) -> None:
    totals = {"records": 5, "embedded": 4, "rejected": 1, "residues": 42}
    assert manifest.totals == totals
    assert manifest.fixes == {"blank": 8}
    assert [shard.file for shard in manifest.shards] == ["shard-00000.pt", "b.pt"]
    write_manifest(tmp_path, manifest)
    assert json.loads((tmp_path / "manifest.json").read_text())["totals"] == totals


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("width",), "3", "expected int, got '3'"),
        (("width",), 3.0, "expected int, got 3.0"),
        (("width",), True, "expected int, got True"),
        (("complete",), 1, "expected bool, got 1"),
        (("kind",), "rna", r"'rna' is not a valid Kind @ \$.kind"),
        (("format",), "zip", r"'zip' is not a valid Format @ \$.format"),
        (("surprise",), 1, "surprise"),
        (("width",), 4, "do not sum to 4"),
        (("totals", "embedded"), 5, "totals is .* but the rest of it gives"),
        (("fingerprint",), "0" * 64, "fingerprint is .* but the rest of it gives"),
        (("shard_size",), 4, "fingerprint is .* but the rest of it gives"),
        (("windows", 0, "records"), 4, "window 0: 4 records in, but 2 embedded and 1 rejected"),
        (("windows", 0, "number"), 2, "in order, each once"),
        (("windows", 0, "number"), 1, "in order, each once"),
        (("windows", 0, "number"), -1, "counted from 0"),
        (("windows", 1, "number"), 2, "windows are missing"),
        (("windows", 0, "shard", "rows"), 0, "at least 1 row"),
        (("windows", 0, "shard", "file"), "../x.pt", "plain name"),
        (("windows", 0, "shard", "file"), "/x.pt", "plain name"),
        (("windows", 0, "shard", "file"), "b.pt", "listed twice"),
        (("windows", 0, "rejects", "file"), "..", "plain name"),
        (("schema",), "embedding-folder/1", "this version reads 'embedding-folder/2'"),
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


def test_the_fingerprint_follows_what_decides_the_vectors_and_nothing_else(
    manifest: Manifest,
) -> None:
    spec = manifest.embedder
    assert spec is not None
    elsewhere = replace(spec, device="cuda", versions=(("toy", "2"),))
    same = (
        replace(manifest, embedder=elsewhere),
        replace(manifest, windows=(), complete=False),
        replace(manifest, budget=Budget(10, 10)),
        replace(manifest, versions={}),
        replace(manifest, sources=(replace(manifest.sources[0], name="other.fa"),)),
    )
    assert {each.fingerprint for each in same} == {manifest.fingerprint}
    others = (
        replace(manifest, embedder=replace(spec, name="other")),
        replace(manifest, embedder=replace(spec, runtime="other")),
        replace(manifest, embedder=replace(spec, dtype="bfloat16")),
        replace(manifest, embedder=replace(spec, truncation=Truncation.LEGACY)),
        replace(manifest, embedder=replace(spec, window_residues=1022)),
        replace(manifest, embedder=replace(spec, cleaning_policy="toy-2")),
        replace(manifest, embedder=replace(spec, weights=WeightsIdentity("random", "1" * 64))),
        replace(manifest, sources=(replace(manifest.sources[0], sha256="5" * 64),)),
        replace(manifest, shard_size=4),
        replace(manifest, format=Format.SAFETENSORS),
        replace(manifest, label=1),
    )
    prints = [manifest.fingerprint, *(each.fingerprint for each in others)]
    assert len(set(prints)) == len(prints)


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
