"""What runs in an actor, here in this process: only the embedder's own is another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("ray")

from harness.cluster.rows import Outcome, RawWindow, read_made, window_row
from harness.cluster.workers import Scout, WindowMaker
from harness.features.fasta import Record
from harness.features.making import Made
from harness.features.resident import Failure
from tests.harness.cluster.fragile import POISON, SPEC, Fragile, another_each_time
from tests.harness.features.broken_embedders import BrokenEmbedder, no_weights


class Turns:
    """A turnstile that only remembers who came through."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.take_up = self

    def remote(self, turn: int) -> None:
        self.taken.append(turn)


Make = Callable[..., WindowMaker]


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def make_maker(turns: Turns) -> Iterator[Make]:
    made: list[WindowMaker] = []

    def make(loader: Callable[[], Any], **changes: Any) -> WindowMaker:  # noqa: ANN401
        options: dict[str, Any] = {
            "expected": SPEC,
            "fasta": Path("in.faa"),
            "tokens_per_batch": 100,
            "threads": torch.get_num_threads(),
            "timeout_s": 60.0,
            "turnstile": turns,
        }
        made.append(WindowMaker(loader, **(options | changes)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def sent(*sequences: str) -> Any:  # noqa: ANN401
    records = tuple(Record(f"r{n}", text, n) for n, text in enumerate(sequences, start=21))
    return window_row(RawWindow(turn=3, number=7, records=records))


def came(block: Any, width: int = 2) -> Outcome:  # noqa: ANN401
    return read_made(block, width)


def test_a_window_comes_back_with_its_vectors_and_rejects_and_its_turn_is_noted(
    tmp_path: Path, turns: Turns, make_maker: Make
) -> None:
    maker = make_maker(partial(Fragile, tmp_path, 0))
    made, events = came(maker(sent("mkt", POISON, "M1", "MKTA")))
    assert isinstance(made, Made)
    assert turns.taken == [3]
    assert (made.number, made.records, made.ids) == (7, 4, ("r21", "r24"))
    assert made.matrix.tolist() == [[3, sum(b"MKT")], [4, sum(b"MKTA")]]
    assert [(each.id, each.position) for each in made.rejects] == [("r22", 22), ("r23", 23)]
    assert (made.residues, made.fixes) == (7, {"lower_case": 3})
    assert [each.split("(")[0] for each in events] == [
        "a batch of 3 sequences failed and was embedded in halves ",
        "a sequence of 4 residues was left out ",
    ]


def test_a_budget_that_was_lowered_stays_so_for_the_next_window(make_maker: Make) -> None:
    from tests.harness.features.broken_embedders import SPEC as BROKEN  # noqa: PLC0415

    maker = make_maker(BrokenEmbedder, expected=BROKEN)
    first, _ = came(maker(sent("AAAA", "MEMORY")), 3)
    then, _ = came(maker(sent("AAAA")), 3)
    assert isinstance(first, Made)
    assert isinstance(then, Made)
    assert then.tokens_per_batch == first.tokens_per_batch < 100


def test_a_worker_with_another_embedder_says_what_differs(tmp_path: Path, make_maker: Make) -> None:
    maker = make_maker(partial(another_each_time, tmp_path))
    failure, _ = came(maker(sent("MKT")))
    assert isinstance(failure, Failure)
    assert failure.name == "EmbedderBroken"
    assert "has another embedder: weights is WeightsIdentity(source='folder'" in failure.message


def test_what_the_reader_came_upon_is_passed_on(tmp_path: Path, make_maker: Make) -> None:
    told = Failure("InputError", "in.faa: the file changed during the run")
    assert came(make_maker(partial(Fragile, tmp_path, 0))(window_row(told))) == (told, ())


def test_what_a_loader_says_comes_as_it_is() -> None:
    with closing(Scout(no_weights, torch.get_num_threads(), 60.0)) as scout:
        assert scout.spec() == Failure("WeightsError", "model.safetensors is not there")
