"""What a run has found so far, and the comparison it amounts to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from embedders import EmbedderSpec
from harness import judge
from harness.costs import Attribution, Contest, MemorySplit, Rate, Roofline, Speedup
from harness.evidence import Classification, Detail, Endpoint, Grouping, Modality
from harness.provenance import Provenance
from harness.results import (
    SCHEMA,
    Comparison,
    Extraction,
    Memory,
    ParityCheck,
    Throughput,
    WidthRow,
)
from harness.spec import ArmName, MigrationSpec

T = TypeVar("T")


@dataclass(slots=True)
class Findings:
    """Results by arm or data set (widths also by architecture), as far as they were measured.

    ``unclassified``: the reason why a data set could not be cut into folds; ``inapplicable``: why
    something cannot be measured of these embedders, by what it is.
    """

    widths: dict[tuple[str, int], WidthRow] = field(default_factory=dict)
    parity: dict[str, tuple[ParityCheck, ...]] = field(default_factory=dict)
    throughput: dict[ArmName, Throughput] = field(default_factory=dict)
    speedup: Speedup | None = None
    contest: Contest | None = None
    rates: tuple[Rate, ...] = ()
    roofline: Roofline | None = None
    attribution: Attribution | None = None
    memory: dict[ArmName, Memory] = field(default_factory=dict)
    memory_splits: dict[ArmName, MemorySplit] = field(default_factory=dict)
    classification: dict[tuple[str, ArmName], tuple[Classification, ...]] = field(
        default_factory=dict
    )
    endpoints: dict[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    groupings: dict[str, Grouping] = field(default_factory=dict)
    details: dict[str, tuple[Detail, ...]] = field(default_factory=dict)
    modalities: dict[str, tuple[Modality, ...]] = field(default_factory=dict)
    unclassified: dict[str, str] = field(default_factory=dict)
    inapplicable: dict[str, str] = field(default_factory=dict)

    def adopt_baseline(self, other: Findings) -> None:
        """Take over what another migration has found of the same baseline, and of its data."""
        width = other.widths.get((ArmName.BASELINE.value, 0))
        if width is not None:
            self.widths[ArmName.BASELINE.value, 0] = width
        for name, checks in other.parity.items():
            if all(check.arm == ArmName.BASELINE for check in checks):
                self.parity.setdefault(name, checks)
        self.throughput |= _of_baseline(other.throughput)
        self.memory |= _of_baseline(other.memory)
        self.memory_splits |= _of_baseline(other.memory_splits)
        for (dataset, arm), found in other.classification.items():
            if arm is ArmName.BASELINE:
                self.classification[dataset, arm] = found
                self.groupings[dataset] = other.groupings[dataset]
        self.unclassified |= other.unclassified
        baseline = f"{ArmName.BASELINE}: "
        self.inapplicable |= {
            what: why for what, why in other.inapplicable.items() if what.startswith(baseline)
        }

    def compare(
        self,
        *,
        run: str,
        spec: MigrationSpec,
        provenance: Provenance,
        arms: Mapping[str, EmbedderSpec],
        extraction: Sequence[Extraction],
    ) -> Comparison:
        """Put every gate of the migration file to what was found."""
        widths = tuple(self.widths.values())
        parity = tuple(check for checks in self.parity.values() for check in checks)
        memory = tuple(self.memory.values())
        classification = tuple(one for both in self.classification.values() for one in both)
        endpoints = tuple(one for both in self.endpoints.values() for one in both)
        gates = judge.all_gates(
            spec,
            widths=widths,
            parity=parity,
            speedup=self.speedup,
            memory=memory,
            classification=classification,
            endpoints=endpoints,
            unclassified=self.unclassified,
            inapplicable=self.inapplicable,
        )
        return Comparison(
            schema=SCHEMA,
            run=run,
            spec=spec,
            provenance=provenance,
            arms=dict(arms),
            widths=widths,
            parity=parity,
            extraction=tuple(extraction),
            throughput=tuple(self.throughput.values()),
            speedup=self.speedup,
            memory=memory,
            classification=classification,
            gates=tuple(gates),
            verdict=judge.decide(gates),
            endpoints=endpoints,
            unclassified=dict(self.unclassified),
            inapplicable=dict(self.inapplicable),
            groupings=tuple(self.groupings.values()),
            details=tuple(one for both in self.details.values() for one in both),
            modalities=tuple(one for each in self.modalities.values() for one in each),
            contest=self.contest,
            rates=self.rates,
            memory_splits=tuple(self.memory_splits.values()),
            roofline=self.roofline,
            attribution=self.attribution,
        )


def _of_baseline(found: Mapping[ArmName, T]) -> dict[ArmName, T]:
    return {arm: each for arm, each in found.items() if arm is ArmName.BASELINE}
