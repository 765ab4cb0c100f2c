"""The check of the projection: it projects before it measures, and says when it is off."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from embedders import EmbedderSpec, arithmetic_of
from harness import capacity
from scripts import check_projection
from scripts.check_projection import ARMS, FITTED, HELD_OUT, Arm

REFERENCE = Path(__file__).parents[2] / "results" / "demo-reference"
START_S, LINEAR, ATTENTION = 4.0, 1 / 60e9, 1 / 30e9


class Clockwork:
    """Stands for the machine: seconds follow from two rates and a start."""

    def __init__(self, faster_when_held_out: float) -> None:
        self.factor = faster_when_held_out
        (self.spec,) = (
            each.spec
            for each in capacity.read_records([REFERENCE]).evidence
            if each.spec.name == "mini-baseline"
        )

    def embed(self, arm: Arm, lengths: Sequence[int]) -> tuple[float, EmbedderSpec]:
        arithmetic = arithmetic_of(arm.name)
        assert arithmetic is not None
        way = capacity.Way(arithmetic, arm.tokens_per_batch, pads=True, window=1024)
        work = capacity.executed_work(way, lengths)
        seconds = START_S + work.linear_flops * LINEAR + work.attention_flops * ATTENTION
        held_out = list(lengths) in _held_out_lengths(arm)
        return seconds / (self.factor if held_out else 1.0), self.spec


def _held_out_lengths(arm: Arm) -> list[list[int]]:
    maker = check_projection._Maker(Path(), "M", 0.2, lambda: None)
    return [maker.lengths(arm, mix) for mix in HELD_OUT]


def checked(monkeypatch: pytest.MonkeyPatch, folder: Path, factor: float) -> int:
    clockwork = Clockwork(factor)
    monkeypatch.setattr(check_projection._Maker, "embed", lambda _, *run: clockwork.embed(*run))
    options = ["--arms", "mini-baseline", "--scale", "0.2", "-o", str(folder)]
    monkeypatch.setattr(sys, "argv", ["check_projection", *options])
    return check_projection.main()


def test_a_machine_of_two_rates_and_a_start_is_projected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert checked(monkeypatch, tmp_path / "out", 1.0) == 0
    document = json.loads((tmp_path / "out" / "projection.json").read_text(encoding="utf-8"))
    assert [each["ratio"] for each in document["checks"]] == pytest.approx([1.0] * 4, rel=1e-6)


def test_a_machine_that_is_another_when_it_counts_is_found_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert checked(monkeypatch, tmp_path / "out", 1.3) == 1
    document = json.loads((tmp_path / "out" / "projection.json").read_text(encoding="utf-8"))
    assert not any(each["within_15_percent"] for each in document["checks"])


def test_no_run_that_is_projected_was_used_to_fit() -> None:
    fitted = {(mix.shortest, mix.longest) for mix in FITTED}
    assert fitted.isdisjoint((mix.shortest, mix.longest) for mix in HELD_OUT)
    assert any(mix.times == 5 for mix in HELD_OUT)


@pytest.mark.parametrize("name", sorted(ARMS))
def test_every_arm_can_be_planned(name: str) -> None:
    arm = ARMS[name]
    assert capacity.Choice.of(arm.name, arm.runtime, arm.dtype).embedder == name


def test_the_calibration_serves_a_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checked(monkeypatch, tmp_path / "out", 1.0)
    own = capacity.read_records([tmp_path / "out"]).newest(capacity.Choice.read("mini-baseline"))
    assert own is not None
    found = capacity.fit(own.observations)
    assert found.terms == ("linear", "attention", "start")
    assert found.seconds == pytest.approx((LINEAR, ATTENTION, START_S), rel=1e-5)
