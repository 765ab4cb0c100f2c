"""Each guard of the self-test is quiet where all is well and stops what is planted."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from Bio.Seq import Seq

from embedders import Embedder, InputError, load
from harness import measure, selftest
from harness.selftest import storage, vectors, verdicts
from harness.selftest.data import make_up
from harness.selftest.trap import trap_of_refusal
from harness.selftest_commands import screen

SMALL = partial(load, "mini-candidate", weights="mini", device="cpu")


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return SMALL(runtime="packed", dtype="float32")


def test_made_up_proteins_are_kin_within_their_group_and_nowhere_else() -> None:
    made = make_up(3)
    groups = np.array(made.examples.groups)
    pairs = made.homologues.pairs
    assert (groups[pairs[:, 0]] == groups[pairs[:, 1]]).all()
    within = sum(n * (n - 1) // 2 for n in np.unique(groups, return_counts=True)[1])
    assert len(pairs) == within


def test_made_up_genes_translate_to_their_proteins(tmp_path: Path) -> None:
    made = make_up(0)
    lines = made.write_genes(tmp_path / "genes.fna", range(3)).read_text("utf-8").splitlines()
    assert [str(Seq(gene).translate()) for gene in lines[1::2]] == list(made.sequences[:3])


def test_faults_of_folders_are_caught(embedder: Embedder, tmp_path: Path) -> None:
    traps = list(storage.traps(embedder, make_up(0), tmp_path))
    assert len(traps) == 3
    assert [trap.fault for trap in traps if not trap.holds] == []


def test_faults_of_what_is_judged_are_caught(tmp_path: Path) -> None:
    made = make_up(0)
    # composition stands in for the embedder: this is about the judge
    letters = [
        [each.count(letter) / len(each) for letter in "ACDEFGHIKL"] for each in made.sequences
    ]
    traps, control = verdicts.traps(made, torch.tensor(letters), tmp_path, seed=0)
    assert [trap.fault for trap in traps if not trap.holds] == []
    assert control.holds
    assert control.found == "PASS"


def test_an_embedder_that_noise_cannot_harm_ends_the_search_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "MOST_NOISE", 1)
    made = make_up(0)
    traps, _ = verdicts.traps(made, torch.zeros((len(made.sequences), 2)), tmp_path, seed=0)
    assert traps[0].fault.startswith("noise of 1 ")
    assert not traps[0].holds


def test_remembered_answers_are_caught_and_honest_ones_are_not(embedder: Embedder) -> None:
    sequences = make_up(0).sequences
    rounds = [sequences[start : start + 8] for start in range(0, 48, 8)]
    ask = partial(measure.repeats, rounds=rounds, arm="candidate", tokens_per_batch=2048)
    assert ask(embedder).passed
    assert not ask(vectors.Remembering(embedder)).passed


def test_a_guard_that_refuses_what_is_sound_has_caught_nothing() -> None:
    def refuse() -> None:
        raise InputError("no")

    assert not trap_of_refusal("f", "g", refuse, refuse).holds
    assert not trap_of_refusal("f", "g", lambda: None, lambda: None).holds
    assert trap_of_refusal("f", "g", lambda: None, refuse).holds


def test_a_missed_fault_or_a_broken_control_spoils_the_whole_and_is_shown() -> None:
    trap = selftest.Trap("fault", "guard", "fine", "fine", quiet=True, caught=False)
    caught = replace(trap, caught=True)
    control = selftest.Control("a with a", "1.0", holds=True)
    assert not selftest.SelfTest("e", 1.0, (caught, trap), (control,)).ok
    assert not selftest.SelfTest("e", 1.0, (caught,), (replace(control, holds=False),)).ok
    good = selftest.SelfTest("e", 1.0, (caught,), (control,))
    assert good.ok
    assert "1 of 1 planted faults caught" in screen(good)
    bad = screen(selftest.SelfTest("e", 1.0, (trap,), (replace(control, holds=False),)))
    assert "MISSED" in bad
    assert "BROKEN" in bad
    assert json.loads(json.dumps(good.document({})))["caught"] == 1
