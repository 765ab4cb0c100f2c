"""Where a figure was measured: two processors of one name are told apart."""

from __future__ import annotations

import doctest

import pytest

from harness import provenance
from harness.provenance import processor_of


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n", "family 25"),
        ("processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n", "family 26"),
    ],
)
def test_a_hidden_name_is_told_by_family_and_model(cpuinfo: str, name: str) -> None:
    assert name in str(processor_of(cpuinfo))


def test_a_processor_without_a_name_has_none() -> None:
    assert processor_of("processor\t: 0\nFeatures\t: fp asimd\n\nmodel name\t: another\n") is None


def test_the_examples_are_true() -> None:
    assert doctest.testmod(provenance).failed == 0
    assert doctest.testmod(provenance).attempted > 0
