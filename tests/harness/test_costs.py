"""Records of what was measured: strict JSON, and no value that contradicts itself."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from embedders import InputError, UnknownName
from harness.costs import (
    Bandwidth,
    Ceiling,
    Contest,
    Energy,
    MemorySplit,
    Rate,
    Roofline,
    RooflinePoint,
)
from harness.results import to_json

CEILING = Ceiling("cpu", "float32", 100.0, 1024, (0.2, 0.1), tf32=None)
BANDWIDTH = Bandwidth("cpu", 10.0, 4, (1.2,))
CONTEST = Contest(("a", "b"), {"a": (2.0, 2.2), "b": (1.0, 1.1)}, "perf_counter", 4, steady=True)
POINT = RooflinePoint("a", "float32", 5.0, 40.0)


@pytest.mark.parametrize(
    "record",
    [
        CEILING,
        BANDWIDTH,
        CONTEST,
        Energy(1.5, "a counter"),
        Rate("a", 1.0, 2.0, 3.0, 0.5, None),
        MemorySplit("a", "cpu", 1, 2, None, 3, 6),
        Roofline((CEILING,), BANDWIDTH, (POINT,)),
    ],
    ids=lambda record: type(record).__name__,
)
def test_every_record_has_a_strict_json_form_with_all_its_fields(record: object) -> None:
    wanted = json.loads(json.dumps(asdict(record)))  # type: ignore[call-overload]
    assert json.loads(to_json(record)) == wanted


def test_counted_rounds_are_numbered_after_the_warm_up() -> None:
    assert list(CONTEST.numbers) == [4, 5]


def test_an_arm_that_did_not_take_part_is_named() -> None:
    with pytest.raises(UnknownName, match="'c'"):
        CONTEST.of("c")


@pytest.mark.parametrize(
    ("arms", "seconds", "words"),
    [
        ((), {}, "each arm needs its own"),
        (("a", "b"), {"a": (1.0,)}, "each arm needs its own"),
        (("a", "b"), {"a": (1.0,), "b": (1.0, 2.0)}, "rounds are paired"),
        (("a",), {"a": ()}, "above zero"),
        (("a",), {"a": (0.0,)}, "above zero"),
        (("a",), {"a": (float("nan"),)}, "above zero"),
    ],
)
def test_a_contest_without_paired_seconds_is_refused(
    arms: tuple[str, ...], seconds: dict[str, tuple[float, ...]], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        Contest(arms, seconds, "perf_counter", 0, steady=False)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_ceiling_that_nothing_can_be_divided_by_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"flops_per_s must be finite and above zero"):
        Ceiling("cpu", "float32", value, 1024, (1.0,), tf32=None)
    with pytest.raises(InputError, match=r"bytes_per_s must be finite and above zero"):
        Bandwidth("cpu", value, 4, (1.0,))


def test_a_part_of_memory_below_zero_is_refused() -> None:
    with pytest.raises(InputError, match="activations_bytes of 'a' is -1"):
        MemorySplit("a", "cpu", 1, -1, None, 3, 6)


def test_the_roof_rises_with_the_bandwidth_up_to_the_ridge_and_is_flat_beyond() -> None:
    roofline = Roofline((CEILING,), BANDWIDTH, (POINT,))
    assert roofline.ridge_flops_per_byte("float32") == 10
    roof = [roofline.attainable_flops_per_s("float32", x) for x in (1.0, 5.0, 10.0, 20.0)]
    assert roof == [10.0, 50.0, 100.0, 100.0]


def test_a_point_without_a_ceiling_of_its_dtype_is_refused() -> None:
    with pytest.raises(UnknownName, match="'bfloat16'"):
        Roofline((CEILING,), BANDWIDTH, (RooflinePoint("a", "bfloat16", 5.0, 40.0),))


def test_roofs_of_two_devices_are_refused() -> None:
    with pytest.raises(InputError, match="one device"):
        Roofline((CEILING,), Bandwidth("cuda:0", 10.0, 4, (1.2,)), ())
