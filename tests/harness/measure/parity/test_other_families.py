"""The audit of embedders that are no ESM-2: what can be asked is asked, the rest is said."""

from __future__ import annotations

from functools import partial

import pytest

from embedders import Embedder, Truncation, load
from harness.measure import (
    BatchDependent,
    OffByTwoTruncation,
    ShuffledRows,
    Unsteady,
    WithNaN,
    examine,
    reference_runtime,
)
from tests.embedders.tiny import ROWS, load_tiny

SEQUENCES = [("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQA" * 2)[:size] for size in (9, 60, 14, 33, 21)]


def _audit(embedder: Embedder, family: str, **options: object) -> dict[str, bool]:
    reference = partial(load_tiny, family, runtime="reference", **options)  # type: ignore[arg-type]
    found = examine(embedder, reference, SEQUENCES, arm="a", tokens_per_batch=200)
    assert not found.unasked
    assert not found.layers
    return {check.check: check.passed for check in found.checks}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("truncation", list(Truncation))
@pytest.mark.parametrize("family", list(ROWS))
def test_a_sound_embedder_passes(family: str, truncation: Truncation, dtype: str) -> None:
    checks = _audit(
        load_tiny(family, dtype=dtype, truncation=truncation), family, truncation=truncation
    )
    assert all(checks.values())
    window = "window" if truncation is Truncation.TRUNCATE else "window against reference"
    assert {window, "agreement with reference", "batch and order"} <= set(checks)


@pytest.mark.parametrize(
    ("fault", "noticed"),
    [
        (BatchDependent, "batch and order"),
        (ShuffledRows, "agreement with reference"),
        (OffByTwoTruncation, "window"),
        (Unsteady, "repeated run"),
        (WithNaN, "NaN and infinity"),
    ],
)
def test_a_broken_embedder_fails_the_check_of_its_fault(
    fault: type[Embedder], noticed: str
) -> None:
    checks = _audit(fault(load_tiny("esmc")), "esmc")  # type: ignore[call-arg]
    assert not checks[noticed]


def test_weights_of_another_seed_are_noticed() -> None:
    checks = _audit(load_tiny("prott5", weights="random:8"), "prott5")
    assert [check for check, passed in checks.items() if not passed] == ["agreement with reference"]


def test_without_a_second_runtime_the_audit_says_what_it_did_not_ask() -> None:
    found = examine(load_tiny("esmc"), None, SEQUENCES, arm="a", tokens_per_batch=200)
    assert "esmc-300m has one runtime only, huggingface" in found.unasked
    assert all(check.passed for check in found.checks)
    assert not any("agreement" in check.check for check in found.checks)


def test_an_esm2_without_its_other_library_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the other library"):
        examine(load("mini-candidate"), None, SEQUENCES, arm="a", tokens_per_batch=200)


@pytest.mark.parametrize(
    ("name", "runtime", "other"),
    [
        ("esm2-8m", "packed", "fair-esm"),
        ("esmc-300m", "huggingface", "reference"),
        ("esmc-300m", "reference", "huggingface"),
        ("dnabert-s", "huggingface", None),
    ],
)
def test_the_reference_is_never_the_runtime_itself(
    name: str, runtime: str, other: str | None
) -> None:
    assert reference_runtime(name, runtime) == other
