"""The suite that third parties run: it lets a sound embedder pass, and notices each broken one."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from embedders.conformance import EmbedderConformance
from tests.embedders import faulty_conformance
from tests.embedders.faulty_conformance import FAULTS, Sound


class _Outcomes:
    """Collects which tests failed, by the embedder that they were put to."""

    def __init__(self) -> None:
        self.failed: defaultdict[str, set[str]] = defaultdict(set)
        self.passed: defaultdict[str, set[str]] = defaultdict(set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        named = re.search(r"::(test_\w+)\[([A-Za-z]+)", report.nodeid)
        assert named, report.nodeid
        if report.failed:
            self.failed[named[2]].add(named[1])
        elif report.passed and report.when == "call":
            self.passed[named[2]].add(named[1])


@pytest.fixture(scope="module")
def outcomes() -> _Outcomes:
    found = _Outcomes()
    file = Path(str(faulty_conformance.__file__))
    pytest.main(
        [str(file), "-p", "no:cacheprovider", "-p", "no:terminal"],
        plugins=[found],
    )
    return found


def _tests() -> set[str]:
    return {name for name in vars(EmbedderConformance) if name.startswith("test_")}


def test_a_sound_embedder_passes_every_test(outcomes: _Outcomes) -> None:
    assert not outcomes.failed[Sound.__name__]
    assert outcomes.passed[Sound.__name__] == _tests()


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_a_broken_embedder_is_noticed_by_the_test_of_its_promise(
    outcomes: _Outcomes, kind: type[Sound]
) -> None:
    assert FAULTS[kind] in outcomes.failed[kind.__name__]


def test_every_test_of_the_suite_can_fail(outcomes: _Outcomes) -> None:
    seen = set().union(*outcomes.failed.values())
    assert seen == _tests()
