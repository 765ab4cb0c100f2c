"""Foreign and damaged bytes: what is documented comes out, or what was written; nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target, repair_zip

# torch warns of pickles that older protocols wrote
pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
EACH = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    """Draw a few edits of a valid file: bytes changed, cut out, doubled, or put in."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(data) - 1)))
        stop = min(len(data), start + draw(st.integers(1, 16)))
        edit = draw(st.sampled_from(("change", "cut", "double", "insert", "end")))
        if edit == "change":
            data[start:stop] = draw(st.binary(min_size=stop - start, max_size=stop - start))
        elif edit == "cut":
            del data[start:stop]
        elif edit == "double":
            data[start:start] = data[start:stop]
        elif edit == "insert":
            data[start:start] = draw(st.binary(max_size=8))
        else:
            del data[start:]
    return bytes(data)


@EACH
def test_every_seed_is_taken_or_refused_by_its_own_error(target: Target, tmp_path: Path) -> None:
    assert target(target.seeds[0], tmp_path)
    for seed in target.seeds:
        target(seed, tmp_path)
    assert not target(b"\xff\x00garbage", tmp_path)


@EACH
@QUICK
@given(data=st.data())
def test_a_mutated_file_gives_a_value_or_the_documented_error(
    target: Target, tmp_path: Path, data: st.DataObject
) -> None:
    seed = data.draw(st.sampled_from(target.seeds))
    content = data.draw(mutated(seed))
    target(content, tmp_path)
    if content[:2] == b"PK":
        target(repair_zip(content), tmp_path)


@EACH
@QUICK
@given(content=st.binary(max_size=300))
def test_any_bytes_give_a_value_or_the_documented_error(
    target: Target, tmp_path: Path, content: bytes
) -> None:
    target(content, tmp_path)


def test_a_repaired_archive_passes_its_own_check(tmp_path: Path) -> None:
    whole = TARGETS["pt"].seeds[0]
    assert repair_zip(whole) == whole
    place = whole.index(b"\x00\x00\x80?")  # 1.0 as float32
    changed = bytearray(whole)
    changed[place + 3] = 0x40
    assert repair_zip(bytes(changed)) != bytes(changed)
    assert TARGETS["pt"](repair_zip(bytes(changed)), tmp_path)
