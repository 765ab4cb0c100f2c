"""From a demand to hours, energy and money: by hand, and with the interval on every figure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import DEMO
from embedders import InputError, UnknownName
from harness import capacity, provenance
from harness.capacity import (
    ArmPlan,
    Basis,
    Choice,
    Demand,
    Estimate,
    Fleet,
    Lengths,
    Observation,
    Origin,
    Price,
    Records,
    Stated,
    Work,
    fit,
    project,
    read_records,
    settle,
)
from harness.capacity.sheet import digits
from harness.spec import ArmName

RESULTS = DEMO.parents[1] / "results"
NOTHING = Stated({}, {})
BILLION = Demand(10**9, Lengths.all_of(166))
PROTEINS = Demand(1000, Lengths.all_of(400))
FAST = Choice.read("fastesm2-650:packed:bfloat16")
DEPLOYED = Choice.read("esm2-3b:fair-esm:float32")


@pytest.fixture(scope="module")
def stored() -> Records:
    return read_records([RESULTS])


def stated(choice: Choice, ceiling: float, part: float) -> Basis:
    return settle("candidate", choice, Records(), Stated({"": ceiling}, {"": part}), "H100")


def measured(stored: Records, name: str = "mini-candidate::bfloat16") -> Basis:
    return settle("candidate", Choice.read(name), stored, NOTHING, None)


# 24·L·H² + 4·L·S·H per token, S = 168 tokens, at 40% of a measured ceiling of 798 TFLOP/s
@pytest.mark.parametrize(
    ("choice", "per_token", "layers", "width"),
    [(FAST, 1.298e9, 33, 1280), (DEPLOYED, 5.662e9, 36, 2560)],
)
def test_computed_hours_are_flops_over_a_part_of_the_ceiling(
    choice: Choice, per_token: float, layers: int, width: int
) -> None:
    found = project(BILLION, stated(choice, 798e12, 0.4), Fleet())
    flops = 1e9 * 168 * (per_token + 4 * layers * 168 * width)
    assert found.flops == pytest.approx(flops, rel=1e-3)
    assert found.device_hours.value == pytest.approx(flops / (798e12 * 0.4) / 3600, rel=1e-3)
    assert found.device_hours.lower is None
    assert found.basis.origin is Origin.COMPUTED
    assert "798 TFLOP/s" in found.basis.sentence


def test_a_ceiling_of_another_dtype_is_not_taken() -> None:
    with pytest.raises(InputError, match="no ceiling is stated for float32"):
        settle("baseline", DEPLOYED, Records(), Stated({"bfloat16": 8e14}, {"": 0.4}), "H100")


def test_a_utilisation_has_to_be_stated_for_a_stated_ceiling() -> None:
    with pytest.raises(InputError, match="no utilisation is stated for the baseline"):
        settle("baseline", DEPLOYED, Records(), Stated({"": 8e14}, {"candidate": 0.4}), "H100")


@pytest.mark.parametrize("part", [0.0, -0.1, 1.01, float("nan")])
def test_a_part_that_is_none_is_refused(part: float) -> None:
    with pytest.raises(InputError, match="utilisation"):
        Stated({"": 1e12}, {"": part})


def test_what_was_timed_says_so_with_an_interval(stored: Records) -> None:
    basis = measured(stored)
    hours = project(PROTEINS, basis, Fleet()).device_hours
    assert basis.origin is Origin.MEASURED
    assert "demo-2026" in basis.sentence
    assert "AMD EPYC" in basis.sentence
    assert hours.lower is not None
    assert hours.upper is not None
    assert hours.lower < hours.value < hours.upper


def test_another_size_borrows_the_utilisation_of_the_same_runtime_and_dtype(
    stored: Records,
) -> None:
    basis = settle("baseline", DEPLOYED, stored, NOTHING, None)
    assert basis.origin is Origin.COMPUTED
    run = json.loads((RESULTS / "runtimes-cpu-650m" / "runtimes.json").read_text(encoding="utf-8"))
    (contested,) = run["contests"]
    (rate,) = (
        each for each in contested["rates"] if each["arm"] == "fastesm2-650 fair-esm float32"
    )
    (ceiling,) = (each for each in run["ceilings"] if each["dtype"] == "float32")
    assert basis.flops_per_s == pytest.approx(rate["utilisation"] * ceiling["flops_per_s"])
    assert "fastesm2-650 fair-esm float32" in basis.sentence


def test_a_stated_utilisation_goes_before_a_borrowed_one(stored: Records) -> None:
    basis = settle("baseline", DEPLOYED, stored, Stated({}, {"baseline": 0.1}), None)
    assert "utilisation 0.1 stated" in basis.sentence


@pytest.mark.parametrize("name", ["mini-baseline:packed", "mini-candidate:huggingface:float16"])
def test_no_other_runtime_or_dtype_stands_in(stored: Records, name: str) -> None:
    others = Records(tuple(each for each in stored.evidence if each.run.startswith("demo")))
    with pytest.raises(InputError, match="was not timed in any of the stored runs") as problem:
        settle("candidate", Choice.read(name), others, NOTHING, None)
    assert "mini-baseline fair-esm float32 (demo-" in str(problem.value)  # what there is


def test_no_other_device_stands_in(stored: Records) -> None:
    with pytest.raises(InputError, match=re.escape(f"there are: {stored.evidence[0].device}")):
        stored.on_device("H100")


def test_of_several_devices_one_must_be_named(stored: Records) -> None:
    first = stored.evidence[0]
    gpu = replace(
        first,
        spec=replace(first.spec, device="cuda:0"),
        machine=replace(first.machine, accelerator="NVIDIA H100"),
    )
    both = Records((first, gpu))
    with pytest.raises(InputError, match="several devices"):
        both.on_device(None)
    for name in ("cuda", "h100"):
        assert both.on_device(name).evidence == (gpu,)
    assert both.on_device("cpu").evidence == (first,)


def test_the_newest_run_speaks(stored: Records) -> None:
    old = stored.newest(FAST)
    assert old is not None
    new = replace(old, run="later", started="2031-01-01T00:00:00+00:00")
    records = Records((new, *stored.evidence))
    found = records.newest(FAST)
    assert found is not None
    assert found.run == "later"
    assert "1 older or other runs left aside" in settle("x", FAST, records, NOTHING, None).sentence


def test_arms_of_two_devices_are_not_compared(stored: Records) -> None:
    bases = {
        ArmName.BASELINE: stated(DEPLOYED, 5e13, 0.5),
        ArmName.CANDIDATE: measured(stored),
    }
    with pytest.raises(InputError, match="two devices"):
        capacity.compare(
            PROTEINS, bases, Fleet(), provenance.collect("plan", (), datetime.now(UTC))
        )


def test_energy_and_price_are_hours_times_a_rate() -> None:
    basis = stated(FAST, 1e12, 0.5)
    fleet = Fleet(price=Price(2.5, "EUR"), watts=700)
    found = project(BILLION, basis, fleet)
    hours = found.device_hours.value
    assert found.energy_kwh is not None
    assert found.price is not None
    assert found.energy_kwh.value == pytest.approx(hours * 0.7)
    assert found.price.value == pytest.approx(hours * 2.5)
    assert "stated" in found.energy_origin


def test_energy_that_nobody_measured_is_not_known() -> None:
    found = project(BILLION, stated(FAST, 1e12, 0.5), Fleet())
    assert found.energy_kwh is None
    assert found.price is None


def test_measured_power_is_used_where_none_is_stated(stored: Records) -> None:
    found = project(PROTEINS, replace(measured(stored), watts=100.0), Fleet())
    assert found.energy_kwh is not None
    assert found.energy_kwh.value == pytest.approx(found.device_hours.value / 10)
    assert "measured" in found.energy_origin


FIGURES: dict[str, Callable[[ArmPlan], Estimate | None]] = {
    "device hours": lambda plan: plan.device_hours,
    "wall clock": lambda plan: plan.wall_hours,
    "energy": lambda plan: plan.energy_kwh,
    "price": lambda plan: plan.price,
}


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_every_figure_of_time_carries_the_interval(stored: Records, name: str) -> None:
    fleet = Fleet(devices=3, price=Price(2.5, ""), watts=100)
    plan = project(PROTEINS, measured(stored), fleet)
    figure, hours = FIGURES[name](plan), plan.device_hours
    assert figure is not None
    assert figure.lower is not None
    assert figure.upper is not None
    assert hours.lower is not None
    assert hours.upper is not None
    assert figure.lower / figure.value == pytest.approx(hours.lower / hours.value)
    assert figure.upper / figure.value == pytest.approx(hours.upper / hours.value)


@given(st.integers(2, 10_000), st.floats(0.01, 1))
def test_more_devices_share_the_hours_and_lose_what_scaling_loses(
    devices: int, efficiency: float
) -> None:
    basis = stated(FAST, 1e12, 0.5)
    alone = project(PROTEINS, basis, Fleet()).device_hours.value
    found = project(PROTEINS, basis, Fleet(devices=devices, efficiency=efficiency))
    assert found.device_hours.value == pytest.approx(alone / efficiency)
    assert found.wall_hours.value == pytest.approx(alone / efficiency / devices)


def test_each_device_starts_once_where_starting_was_measured() -> None:
    def timed(linear: float, share: float) -> Observation:
        work = Work(linear, share * linear, starts=1)
        return Observation("command", work, 36.0 + work.flops * 1e-11)

    basis = replace(
        stated(FAST, 1e12, 0.5),
        fit=fit([timed(1e9, 0.1), timed(1e13, 0.05), timed(1e13, 0.3), timed(2e13, 0.1)]),
    )
    one, ten = (project(PROTEINS, basis, Fleet(devices=count)) for count in (1, 10))
    # nine more starts of 36 s are 0.09 hours; a device at work is as fast as before
    assert ten.device_hours.value - one.device_hours.value == pytest.approx(0.09, rel=1e-6)
    assert ten.sequences_per_s == one.sequences_per_s


def test_a_single_device_loses_nothing_to_scaling() -> None:
    basis = stated(FAST, 1e12, 0.5)
    alone = project(PROTEINS, basis, Fleet(efficiency=0.5))
    assert alone.device_hours == project(PROTEINS, basis, Fleet()).device_hours


@pytest.mark.parametrize("text", ["", "EUR", "0 EUR", "-1", "1e400 EUR", "EUR 2.5", "2.5.1 EUR"])
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="price"):
        Price.read(text)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("2.50 EUR", Price(2.5, "EUR")),
        (".5", Price(0.5, "")),
        ("1e3 EUR", Price(1000, "EUR")),  # and not 1 of something called e3
        ("1,250.75 Rs. (net)", Price(1250.75, "Rs. (net)")),
    ],
)
def test_a_currency_is_text(text: str, price: Price) -> None:
    assert Price.read(text) == price


@pytest.mark.parametrize("text", ["esm2-3B", "esm2-3b:fairesm", "esm2-3b:fair-esm:float32:sdpa"])
def test_an_arm_that_is_misspelt_is_refused(text: str) -> None:
    with pytest.raises((InputError, UnknownName)):
        Choice.read(text)


def test_an_arm_that_embeds_dna_is_refused() -> None:
    with pytest.raises(InputError, match="embeds no proteins"):
        Choice.read("kmer4")


@given(st.floats(1e-12, 1e18))
def test_three_digits_are_shown_and_read_back(value: float) -> None:
    assert float(digits(value).replace(",", "")) == pytest.approx(value, rel=5.1e-3)
