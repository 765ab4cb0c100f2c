"""Embedders of other packages: found by entry point, named when broken, never in the way."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from embedders import (
    CHECKPOINTS,
    Family,
    PluginError,
    UnknownName,
    arithmetic_of,
    broken_plugins,
    checkpoint,
    describe,
    list_embedders,
    load,
)
from embedders.plugins import CONTRACT, GROUP, plugin_names
from harness.cli import main

MODULE = """
from dataclasses import replace

import torch
from embedders import Choices, Family, Modality, Plugin, checkpoint, load
from embedders.arithmetic import Block

ROW = replace(
    checkpoint("kmer4"), name={name!r}, family=Family.PLUGIN, modality=Modality.PROTEIN, width=8,
    default_runtime="toy", other_runtimes=("second",),
)


class Toy:
    def __init__(self, choices):
        self.spec = replace(
            load("kmer4").spec, name=ROW.name, modality=ROW.modality, width=8,
            runtime=choices.runtime, truncation=choices.truncation, window_residues=1024,
            cleaning_policy="esm-clean-1", dtype=choices.dtype or "float32",
        )
        self.spec = replace(self.spec, **{changes!r})

    def clean(self, sequence):
        from embedders.alphabet import clean_protein
        return clean_protein(sequence)

    def embed(self, sequences, *, tokens_per_batch=4096):
        return torch.ones(len(sequences), 8)


def build(row, choices):
    choices.refuse(row.name, "layers")
    return Toy(choices)


PLUGIN = Plugin(ROW, build, contract={contract}, block={block})
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write a distribution with one embedder, as an installer leaves it, and put it on the path."""
    before = set(sys.modules)

    def write(
        name: str,
        /,
        *,
        distribution: str = "acme",
        module: str | None = None,
        points_to: str | None = None,
        contract: int = CONTRACT,
        row_name: str | None = None,
        block: str = "None",
        **changes: object,
    ) -> Path:
        site = tmp_path / distribution
        package = f"{distribution}_{tmp_path.name}".replace("-", "_")
        about = site / f"{distribution}-1.2.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.2\n", encoding="utf-8")
        target = points_to or f"{package}:PLUGIN"
        (about / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {target}\n", encoding="utf-8")
        text = module or MODULE.format(
            name=row_name or name, changes=changes, contract=contract, block=block
        )
        (site / f"{package}.py").write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(str(site))
        return site

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_plugin_is_found_by_its_name(install: Install) -> None:
    install("acme-toy")
    row = checkpoint("acme-toy")
    assert (row.family, row.width) == (Family.PLUGIN, 8)
    embedder = load("acme-toy", runtime="second", dtype="bfloat16", truncation="legacy")
    assert (embedder.spec.runtime, embedder.spec.dtype) == ("second", "bfloat16")
    assert embedder.embed(["MK"]).shape == (1, 8)
    assert describe("acme-toy").width == 8


def test_a_plugin_is_listed_with_the_package_that_brings_it(install: Install) -> None:
    install("acme-toy")
    rows = list_embedders()
    assert [row["name"] for row in rows] == [*CHECKPOINTS, "acme-toy"]
    assert (rows[-1]["provider"], rows[-1]["runtimes"]) == ("acme 1.2", ("toy", "second"))
    assert {row["provider"] for row in rows[:-1]} == {None}


def test_names_of_plugins_are_suggested(install: Install) -> None:
    install("acme-toy")
    with pytest.raises(UnknownName, match="acme-toy"):
        checkpoint("acme-toi")


def test_what_a_plugin_does_not_offer_is_refused_by_it(install: Install) -> None:
    install("acme-toy")
    with pytest.raises(ValueError, match="'acme-toy' has no choice of layers=2"):
        load("acme-toy", layers=2)
    with pytest.raises(UnknownName, match="runtime of acme-toy"):
        load("acme-toy", runtime="packed")


def test_arithmetic_is_known_where_a_plugin_says_it(install: Install) -> None:
    install("acme-toy", block="Block(2, 8, 8, 16, gated=False, special_tokens=0)")
    install("acme-mute", distribution="mute")
    known = arithmetic_of("acme-toy", layers=3)
    assert known is not None
    assert (known.layers, known.layer_weights) == (3, 4 * 8 * 8 + 2 * 8 * 16)
    assert arithmetic_of("acme-mute") is None


BROKEN = [
    ({"module": "import no_such_module"}, r"cannot be imported .*ModuleNotFoundError"),
    ({"module": "PLUGIN = ("}, r"cannot be imported .*SyntaxError"),
    ({"module": "1 / 0"}, r"cannot be imported .*ZeroDivisionError"),
    ({"module": "raise SystemExit('no licence')"}, r"cannot be imported .*SystemExit: no licence"),
    ({"module": "X = 1"}, r"cannot be imported .*AttributeError"),
    ({"module": "PLUGIN = 5"}, r"is int, not an embedders.plugins.Plugin"),
    ({"contract": CONTRACT + 1}, rf"written for contract {CONTRACT + 1}, this package has"),
    ({"row_name": "another"}, r"its row has the name 'another'"),
]


@pytest.mark.parametrize(("how", "reason"), BROKEN)
def test_a_broken_plugin_is_named_with_its_package(
    install: Install, how: dict[str, object], reason: str
) -> None:
    install("acme-toy", **how)
    with pytest.raises(PluginError, match=f"'acme-toy' of acme 1.2.*{reason}"):
        load("acme-toy")


@pytest.mark.parametrize("how", [how for how, _ in BROKEN])
def test_a_broken_plugin_leaves_the_others_listed(
    install: Install, how: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    install("acme-toy", **how)
    install("acme-good", distribution="good")
    assert main(["list", "--json"]) == 0
    shown = capsys.readouterr()
    assert [row["name"] for row in json.loads(shown.out)] == [*CHECKPOINTS, "acme-good"]
    assert "'acme-toy' of acme 1.2" in shown.err
    assert [each.name for each in broken_plugins()] == ["acme-toy"]
    assert load("acme-good").spec.width == 8


def test_a_row_of_another_family_is_refused(install: Install) -> None:
    text = MODULE.format(name="acme-toy", changes={}, contract=CONTRACT, block="None")
    install("acme-toy", module=text.replace("Family.PLUGIN", "Family.ESM2"))
    with pytest.raises(PluginError, match="is of the family 'esm2', not 'plugin'"):
        load("acme-toy")


def test_a_built_in_embedder_is_never_replaced(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("kmer4")
    assert checkpoint("kmer4") is CHECKPOINTS["kmer4"]
    assert load("kmer4").spec.width == 136
    assert main(["list"]) == 0
    assert "'kmer4' of acme 1.2 is refused" in capsys.readouterr().err


def test_two_packages_with_one_name_are_both_refused(install: Install) -> None:
    install("acme-toy")
    install("acme-toy", distribution="rival")
    with pytest.raises(PluginError, match=r"brought 2 times, by acme 1\.2 and rival 1\.2"):
        load("acme-toy")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "another"),
        ("width", 9),
        ("runtime", "third"),
        ("dtype", "float64"),
        ("cleaning_policy", "our-own"),
    ],
)
def test_what_is_built_must_be_what_was_asked_for(
    install: Install, key: str, value: object
) -> None:
    install("acme-toy", **{key: value})
    with pytest.raises(PluginError, match=f"acme-toy' of acme 1.2 is not .*{key} is '{value}'"):
        load("acme-toy", dtype="float32")


def test_nothing_is_looked_up_for_a_built_in_embedder(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-toy", module="raise SystemExit('imported')")

    def looked_up(**_: object) -> None:
        raise AssertionError("entry points were looked up")

    monkeypatch.setattr("embedders.plugins.entry_points", looked_up)
    assert load("kmer4").spec.name == "kmer4"


def test_looking_names_up_imports_nothing(install: Install) -> None:
    install("acme-toy", module="raise SystemExit('imported')")
    assert "acme-toy" in plugin_names()


def test_the_rows_of_the_table_are_no_plugins() -> None:
    assert all(row.family is not Family.PLUGIN for row in CHECKPOINTS.values())
    assert replace(checkpoint("kmer4"), family=Family.PLUGIN).family is Family.PLUGIN
