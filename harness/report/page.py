"""The report of one run as Markdown, fit for a pull request."""

from __future__ import annotations

from tabulate import tabulate

from harness.report.escapes import MARKDOWN, code, escaped
from harness.report.tables import ROUNDING_NOTE, comparison_table, gate_table, verdict_line
from harness.results import Comparison
from harness.spec import ArmName


def markdown(comparison: Comparison) -> str:
    """Return the whole report; every figure in it stands in ``comparison.json`` too.

    Text from outside is shown as text: no HTML and no markup of it takes effect.
    """
    spec = comparison.spec
    sections = [
        f"# {escaped(spec.title) or escaped(spec.name)}",
        f"**{escaped(verdict_line(comparison))}**",
        _question(comparison),
        "## Comparison",
        comparison_table(comparison, MARKDOWN),
        _reading(comparison),
        "## Gates",
        gate_table(comparison, MARKDOWN),
        "## Confusion matrices, by seed",
        _confusions(comparison),
        "## Where this comes from",
        _provenance(comparison),
    ]
    return "\n\n".join(sections) + "\n"


def _question(comparison: Comparison) -> str:
    arms = [comparison.spec.arm(arm) for arm in ArmName]
    return (
        f"May {code(arms[1].embedder)} replace {code(arms[0].embedder)}? Both arms saw the same "
        "records, cleaning, truncation, folds, seeds and training recipe; nothing but the embedder "
        "differs."
    )


def _reading(comparison: Comparison) -> str:
    plan = comparison.spec.classification
    return (
        f"Rates are out of fold ({plan.folds} folds by group, never by row), mean over "
        f"{len(plan.seeds)} retraining seeds ({', '.join(map(str, plan.seeds))}), threshold 0.5. "
        "The gates on sensitivity and specificity are decided by the difference; the 95% interval "
        "beside it is that of paired rows, over groups and retraining seeds. "
        "Host memory and device memory were read in a process of each arm's own. The paired "
        "speed-up has a 95% interval over interleaved rounds; `not measured` is never a pass. "
        f"{ROUNDING_NOTE}"
    )


def _confusions(comparison: Comparison) -> str:
    lines = [
        [*map(escaped, (item.dataset, item.level, item.arm)), seed, m.tp, m.fn, m.tn, m.fp]
        for item in comparison.classification
        for seed, m in zip(item.seeds, item.per_seed, strict=True)
    ]
    if not lines:
        return "No classification was measured in this run."
    header = ["data set", "level", "arm", "seed", "viral as viral", "viral as host"]
    header += ["host as host", "host as viral"]
    # only figures are aligned as such: a data set may be called 007
    return tabulate(lines, headers=header, tablefmt=MARKDOWN, disable_numparse=[0, 1, 2])


def _provenance(comparison: Comparison) -> str:
    origin = comparison.provenance
    commit = origin.commit or "no checkout"
    if origin.dirty:
        commit += " with uncommitted changes"
    lines: list[list[str]] = [
        ["run", comparison.run],
        ["started", origin.started],
        ["command", origin.command],
        ["machine", origin.machine.sentence()],
        ["torch threads", str(origin.machine.torch_threads)],
        ["commit", commit],
        ["code SHA-256", origin.code_sha256],
        ["Python", origin.python],
        *([name, version] for name, version in origin.libraries),
        *([f"weights of {arm}", _weights(comparison, arm)] for arm in comparison.arms),
        *([f"input {name}", digest] for name, digest in origin.inputs),
        *(
            [
                f"extraction, {item.part} of {item.dataset}",
                f"{item.records} in = {item.embedded} embedded + {item.rejected} rejected, "
                f"{item.residues:,} residues, {item.seconds:.1f} s",
            ]
            for item in comparison.extraction
        ),
    ]
    shown = [
        [escaped(what), code(found) if what == "command" else escaped(found)]
        for what, found in lines
    ]
    return tabulate(shown, headers=["", ""], tablefmt=MARKDOWN, disable_numparse=True)


def _weights(comparison: Comparison, arm: str) -> str:
    weights = comparison.arms[arm].weights
    return f"{weights.source}, SHA-256 {weights.sha256}"
