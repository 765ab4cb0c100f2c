"""Where the figures come from, as sections: splits, audits, provenance, and how to repeat them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from embedders import EmbedderSpec
from harness.evidence import Grouping
from harness.report.blocks import Block, Commands, Folded, Missing, Note, Section, Table
from harness.report.headline import why_unjudged
from harness.report.numerals import NOT_MEASURED, count, exact, per_cent
from harness.results import AGREEMENT, Comparison, ParityCheck


def split_section(comparison: Comparison) -> Section:
    """Return how rows were grouped, and whether near twins were parted by a fold."""
    plan = comparison.spec.classification
    note = Note(
        f"{plan.folds} folds by group, the same for both arms; retraining seeds "
        f"{', '.join(map(str, plan.seeds))}; recipe {plan.recipe}."
    )
    if not comparison.groupings:
        why = why_unjudged(comparison)
        return Section("splits", "Splits and leaks", (note, Missing(f"leaks: {why}")))
    return Section(
        "splits", "Splits and leaks", (note, grouping_table(comparison), leak_table(comparison))
    )


def grouping_table(comparison: Comparison) -> Table:
    """Return how the rows of each data set were grouped."""
    return Table(
        "Groups are connected components of everything that was joined",
        (
            "data set",
            "joined by",
            "homologues found by",
            "rows",
            "groups given",
            "homology clusters",
            "groups judged",
            "rows of the largest",
        ),
        tuple(
            (
                each.dataset,
                ", ".join(each.sources),
                _search(each),
                count(each.rows),
                count(each.given_groups),
                count(each.clusters),
                count(each.components),
                count(each.largest_rows),
            )
            for each in comparison.groupings
        ),
        words=3,
    )


def leak_table(comparison: Comparison) -> Table:
    """Return how many test rows have a near twin in their own training part, by way of cutting."""
    return Table(
        "Test rows with a near twin in the training part of the same fold, mean over seeds",
        ("data set", "cut", "test rows", "with a twin"),
        tuple(
            (each.dataset, leak.cut, count(leak.rows), count(leak.twins))
            for each in comparison.groupings
            for leak in each.leaks
        ),
        words=2,
    )


def audit_section(comparison: Comparison) -> Section:
    """Return the parity audits: is what each arm computes right?"""
    if not comparison.parity:
        return Section("audits", "Parity audits", (Missing("no arm was audited."),))
    table = Table(
        "Is what the arms compute right? One question in each line",
        ("arm", "audit", "outcome", "value", "limit", "what was compared"),
        tuple(
            (
                each.arm,
                each.check,
                "kept" if each.passed else "missed",
                exact(each.value),
                _limit(each),
                each.sentence,
            )
            for each in comparison.parity
        ),
        long=True,
    )
    unheld = (
        Missing(f"{what}: {why}.")
        for what, why in comparison.inapplicable.items()
        if what.endswith(AGREEMENT)
    )
    return Section("audits", "Parity audits", (table, *unheld))


def provenance_section(comparison: Comparison) -> Section:
    """Return everything that tells this run from another."""
    arms = tuple(
        Table(f"The {arm}", ("", ""), tuple(_embedder(spec)), long=True)
        for arm, spec in comparison.arms.items()
    )
    blocks: list[Block] = [
        Table("The run", ("", ""), tuple(provenance_lines(comparison)), long=True),
        Folded("Both arms in full", arms),
        Folded("Files of this run", (Table("SHA-256", ("", ""), _files(comparison), long=True),)),
    ]
    return Section("provenance", "Where this comes from", tuple(blocks))


def provenance_lines(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Yield what tells a run from another, name and value."""
    origin = comparison.provenance
    machine = origin.machine
    commit = origin.commit or "no checkout"
    yield "run", comparison.run
    yield "schema", comparison.schema
    yield "started", origin.started
    yield "command", origin.command
    yield "machine", machine.sentence()
    yield "torch threads", str(machine.torch_threads)
    yield "accelerator driver", machine.accelerator_driver or "none"
    yield "TF32 in matrix products", "allowed" if machine.tf32_matmul else "not allowed"
    yield "commit", f"{commit} with uncommitted changes" if origin.dirty else commit
    yield "code SHA-256", origin.code_sha256
    yield "Python", origin.python
    yield from origin.libraries
    for arm, spec in comparison.arms.items():
        yield f"weights of {arm}", f"{spec.weights.source}, SHA-256 {spec.weights.sha256}"
    for name, digest in origin.inputs:
        yield f"input {name}", digest
    for item in comparison.extraction:
        yield (
            f"extraction, {item.part} of {item.dataset}",
            f"{item.records} in = {item.embedded} embedded + {item.rejected} rejected, "
            f"{item.residues:,} residues, {item.seconds:.1f} s",
        )


def repeat_section(comparison: Comparison) -> Section:
    """Return the commands that repeat the run and rebuild this page."""
    origin = comparison.provenance
    checkout = (f"git checkout {origin.commit}",) if origin.commit else ()
    blocks: list[Block] = [
        Commands((*checkout, origin.command)),
        Note("This page, the tables and the CSV again from comparison.json, in the run's folder:"),
        Commands((f"harness report {comparison.run}",)),
    ]
    if origin.dirty:
        blocks.append(
            Note("The checkout had uncommitted changes: the commit alone does not repeat it.")
        )
    return Section("repeat", "How to repeat it", tuple(blocks))


def reading_section(comparison: Comparison) -> Section:
    """Return how the page is read."""
    alpha = next((each.paired.alpha for each in comparison.endpoints), None)
    level = "" if alpha is None else f" at a one-sided level of {per_cent(alpha)} for each endpoint"
    return Section(
        "reading",
        "How to read this page",
        (
            Note(
                f"The question is non-inferiority{level}: is the candidate worse by no more than "
                "the margin that was fixed beforehand? Both arms saw the same records, cleaning, "
                "truncation, folds, seeds and recipe."
            ),
            Note(
                "Forest plot: the marker is the difference, candidate minus baseline, the line its "
                "interval over groups and retraining seeds, the dashed stroke the margin. An "
                "interval wholly to the right of the stroke shows that no more than the margin was "
                "lost; wholly to the left, that more was lost; across it, neither. An arrow marks "
                "an interval that goes on beyond the picture."
            ),
            Note(
                "Speed: a bar is the median round, its whiskers reach from the slowest to the "
                "fastest round. The paired speed-up divides seconds of the same round, so that "
                "what slows both arms cancels out."
            ),
            Note(
                "Reliability: on the diagonal, of the rows called viral with probability p a share "
                "of p is viral. ROC curve: the further up and left the better; precision and "
                "recall: the further up and right."
            ),
            Note(
                "Viral is the positive class: sensitivity is the share of viral rows called viral, "
                "specificity the share of host rows called host. Rates are out of fold, at "
                "threshold 0.5 unless stated. A figure that was not measured is never a pass and "
                "never drawn as zero."
            ),
        ),
    )


def _search(each: Grouping) -> str:
    if each.tool is None:
        return "nothing was searched"
    text = f"{each.tool} {each.tool_version or ''}".strip()
    if each.identity is not None:
        text += f", identity {exact(each.identity)}"
    if each.coverage is not None:
        text += f", coverage {exact(each.coverage)}"
    return text


def _limit(check: ParityCheck) -> str:
    return f"{'at least' if check.at_least else 'at most'} {exact(check.limit)}"


def _embedder(spec: EmbedderSpec) -> Iterator[tuple[str, str]]:
    for field in fields(spec):
        value = getattr(spec, field.name)
        if field.name == "weights":
            yield "weights", value.source
            yield "weights SHA-256", value.sha256
            yield "revision", value.revision or "none"
            yield "seed of random weights", "none" if value.seed is None else str(value.seed)
        elif field.name == "versions":
            yield from value
        else:
            yield field.name.replace("_", " "), NOT_MEASURED if value is None else str(value)


def _files(comparison: Comparison) -> tuple[tuple[str, str], ...]:
    files = {each.predictions: each.predictions_sha256 for each in comparison.classification}
    files |= {each.file: each.sha256 for each in comparison.groupings}
    return tuple(files.items())
