"""Windows and what was made of them, as rows of Ray Data: one row is one block.

The forms are Arrow's, with 64-bit offsets where a window's text or vectors may exceed 2 GiB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import torch

from harness.features.fasta import Record
from harness.features.making import Made
from harness.features.rejects import Reject
from harness.features.resident import Failure

_COUNTS = pa.list_(pa.struct([("name", pa.string()), ("count", pa.int64())]))
_FAILURE = pa.struct([("name", pa.string()), ("message", pa.string()), ("fatal", pa.bool_())])
_RECORD = pa.struct(
    [
        ("id", pa.large_string()),
        ("sequence", pa.large_string()),
        ("number", pa.int64()),
        ("fixes", _COUNTS),
    ]
)
_REJECT = pa.struct(
    [("id", pa.large_string()), ("position", pa.int64()), ("reason", pa.large_string())]
)
_WINDOW = pa.schema(
    [
        ("turn", pa.int64()),
        ("number", pa.int64()),
        ("records", pa.large_list(_RECORD)),
        ("failure", _FAILURE),
    ]
)
_MADE = pa.schema(
    [
        ("number", pa.int64()),
        ("ids", pa.large_list(pa.large_string())),
        ("vectors", pa.large_binary()),
        ("rejects", pa.large_list(_REJECT)),
        ("residues", pa.int64()),
        ("fixes", _COUNTS),
        ("tokens_per_batch", pa.int64()),
        ("events", pa.list_(pa.large_string())),
        ("failure", _FAILURE),
    ]
)


@dataclass(frozen=True, slots=True)
class RawWindow:
    """Neighbouring records as they were read, the ``turn``-th window that was sent, from 0."""

    turn: int
    number: int
    records: tuple[Record, ...]


Outcome = tuple[Made | Failure, tuple[str, ...]]
"""A window or what ended the making of it; and what was handled on the way."""


def window_row(window: RawWindow | Failure) -> Any:  # noqa: ANN401 - Arrow has no types
    """Return a table of one row: a window, or why the file cannot be read on."""
    if isinstance(window, Failure):
        return pa.Table.from_pylist([{"failure": _failure(window)}], schema=_WINDOW)
    records = [
        {
            "id": each.id,
            "sequence": each.sequence,
            "number": each.number,
            "fixes": _counts(each.fixes),
        }
        for each in window.records
    ]
    row = {"turn": window.turn, "number": window.number, "records": records}
    return pa.Table.from_pylist([row], schema=_WINDOW)


def read_window(table: Any) -> RawWindow | Failure:  # noqa: ANN401
    """Read what :func:`window_row` wrote."""
    (row,) = table.to_pylist()
    if row["failure"] is not None:
        return Failure(**row["failure"])
    records = tuple(
        Record(each["id"], each["sequence"], each["number"], _counter(each["fixes"]))
        for each in row["records"]
    )
    return RawWindow(row["turn"], row["number"], records)


def made_row(made: Made | Failure, events: Sequence[str] = ()) -> Any:  # noqa: ANN401
    """Return a table of one row: a window that was made, or why it was not, and on what events."""
    if isinstance(made, Failure):
        told = {"failure": _failure(made), "events": list(events)}
        return pa.Table.from_pylist([told], schema=_MADE)
    row: dict[str, object] = {
        "number": made.number,
        "ids": list(made.ids),
        "vectors": made.matrix.numpy().tobytes(),
        "rejects": [
            {"id": each.id, "position": each.position, "reason": each.reason}
            for each in made.rejects
        ],
        "residues": made.residues,
        "fixes": _counts(made.fixes),
        "tokens_per_batch": made.tokens_per_batch,
        "events": [*events, *made.events],
    }
    return pa.Table.from_pylist([row], schema=_MADE)


def read_made(table: Any, width: int) -> Outcome:  # noqa: ANN401
    """Read what :func:`made_row` wrote, of vectors of this width, and the events."""
    (row,) = table.to_pylist()
    events = tuple(row["events"])
    if row["failure"] is not None:
        return Failure(**row["failure"]), events
    # a copy, for torch wants memory that may be written to
    vectors = np.frombuffer(row["vectors"], dtype=np.float32).reshape(-1, width).copy()
    made = Made(
        number=row["number"],
        ids=tuple(row["ids"]),
        matrix=torch.from_numpy(vectors),
        rejects=tuple(Reject(**each) for each in row["rejects"]),
        residues=row["residues"],
        fixes=dict(_counter(row["fixes"])),
        tokens_per_batch=row["tokens_per_batch"],
        events=events,
    )
    return made, events


def _failure(failure: Failure) -> dict[str, object]:
    return {"name": failure.name, "message": failure.message, "fatal": failure.fatal}


def _counts(counts: dict[str, int]) -> list[dict[str, object]]:
    return [{"name": name, "count": count} for name, count in counts.items()]


def _counter(counts: list[dict[str, Any]]) -> Counter[str]:
    return Counter({each["name"]: each["count"] for each in counts})
