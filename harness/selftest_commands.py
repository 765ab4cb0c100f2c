"""The command ``selftest``: plant faults and see whether the harness notices them."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

from embedders import Family, InputError, checkpoint, load
from harness import measure, provenance, report, selftest
from harness.files import write_text_atomically
from harness.results import to_json

_WIDTHS = (None, 34, 24, 60)
"""Characters of a column of the table of faults; None: as many as it takes."""


def run(options: argparse.Namespace) -> int:
    """Print every trap; exit 1 if a fault went unnoticed or a control found a difference."""
    if checkpoint(options.embedder).family is not Family.ESM2:
        raise InputError(
            f"{options.embedder} is no ESM-2 embedder, and the faults are planted in the tokens, "
            "the window and the pooling of one; 'harness audit' asks what can be asked of any"
        )
    loader = partial(load, options.embedder, weights=options.weights, device=options.device)
    embedder = loader(runtime=options.runtime, dtype=options.dtype)
    other = measure.other_runtime(embedder.spec.runtime)
    found = selftest.run(
        embedder, partial(loader, runtime=other, dtype="float32"), seed=options.seed
    )
    command = shlex.join(["harness", *sys.argv[1:]])
    document = found.document(asdict(provenance.collect(command, (), datetime.now(UTC))))
    if options.output is not None:
        write_text_atomically(options.output, to_json(document))
    print(json.dumps(document, indent=1) if options.json else screen(found))
    return 0 if found.ok else 1


def screen(found: selftest.SelfTest) -> str:
    """Return a table of the traps, one of the controls, and the sum in one line."""
    traps = [
        ["caught" if each.holds else "MISSED", each.fault, each.guard, each.faulty]
        if each.quiet
        else ["MISSED", each.fault, each.guard, f"cries at what is sound: {each.sound}"]
        for each in found.traps
    ]
    controls = [
        ["holds" if each.holds else "BROKEN", each.compared, each.found] for each in found.controls
    ]
    return "\n\n".join(
        [
            report.plain_table(
                traps, ["", "fault planted", "guard", "with the fault"], widths=_WIDTHS
            ),
            report.plain_table(controls, ["", "A/A", "found"]),
            f"{found.embedder}: {found.caught} of {len(found.traps)} planted faults caught, "
            f"{sum(each.holds for each in found.controls)} of {len(found.controls)} A/A "
            f"comparisons hold; {found.seconds:.0f} s",
        ]
    )
