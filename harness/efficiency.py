"""What each arm of a migration costs: time, memory, part of the ceiling, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from embedders import Truncation, checkpoint, runtimes_of
from harness import measure, speed
from harness.arms import Arms
from harness.costs import Attribution, Speedup
from harness.findings import Findings
from harness.results import ROOFLINE, STEPS, Memory, ParityCheck, Throughput
from harness.spec import ArmName

Timer = Callable[[Callable[[int], object], int, int], list[float] | None]
"""Calls ``work(0)``, ``work(1)`` … through warm-up and counted rounds; returns the counted
seconds, or None where timing is switched off."""

ATTRIBUTED_SEQUENCES = 48
"""Of one round of the attribution, which times up to six arms in turn."""
REPEATED_SEQUENCES = 12
"""Of one round that asks whether repeated sequences are faster."""


class Efficiency:
    """Measures each figure once and keeps it among the findings."""

    def __init__(self, arms: Arms, found: Findings) -> None:
        self._arms = arms
        self._spec = arms.spec
        self._found = found

    def throughput(self, arm: ArmName, timer: Timer, *, timer_name: str) -> Throughput | None:
        """Time rounds of distinct sequences with like length mixes; None if nothing was timed."""
        plan = self._spec.throughput
        contender, rounds = self._contender(arm), self._arms.rounds()
        # The result is on the CPU, so the device has finished when the call returns.
        seconds = timer(
            lambda number: contender.embed(rounds, number), plan.rounds, plan.warmup_rounds
        )
        if seconds is None:
            return None
        # what is cut off is not embedded, so it is not counted; legacy truncation cuts nothing off
        spec = contender.embedder.spec
        whole = spec.truncation is Truncation.LEGACY
        counted = [
            sum(len(each) if whole else min(len(each), spec.window_residues) for each in sequences)
            for sequences in rounds[plan.warmup_rounds :]
        ]
        self._found.throughput[arm] = measure.summarise_rounds(
            arm, timer_name, residues=counted, sequences=plan.sequences, seconds=seconds
        )
        return self._found.throughput[arm]

    def speedup(self) -> Speedup:
        """Time both arms in turn on equal rounds, and place them under the device's ceilings."""
        if self._found.speedup is None:
            plan = self._spec.throughput
            contenders = {arm.value: self._contender(arm) for arm in ArmName}
            ceilings = speed.measure_ceilings(each.embedder for each in contenders.values())
            contest, rates = speed.side_by_side(
                contenders,
                self._arms.rounds(),
                ceilings,
                rounds=plan.rounds,
                max_warmup_rounds=plan.warmup_rounds,
            )
            self._check_outputs(contenders, contest.numbers[-1])
            self._found.contest = contest
            self._found.rates = rates
            if rates:
                self._found.roofline = speed.roofline(
                    contenders, self._arms.rounds()[-1], rates, ceilings
                )
            for arm in set(contenders) - {each.arm for each in rates}:
                name = contenders[arm].embedder.spec.name
                self._found.inapplicable[f"{arm}: {ROOFLINE}"] = (
                    f"how much {name} computes is not known"
                )
            self._found.speedup = measure.speedup_in(
                contest, *ArmName, confidence=self._spec.gates.confidence
            )
        return self._found.speedup

    def attribution(self) -> Attribution | None:
        """Split the speed-up into size, dtype and runtime.

        None if the file asks for no rounds, or an arm cannot be computed by the other's runtime.
        Every arm in between is loaded at once: up to six models.
        """
        plan = self._spec.throughput
        if self._found.attribution is None and plan.attribution_rounds:
            slow, fast = (speed.Cell.of(arm.value, self._arms.embedder(arm)) for arm in ArmName)
            for one, other in ((slow, fast), (fast, slow)):
                if other.runtime not in runtimes_of(checkpoint(one.name)):
                    self._found.inapplicable[STEPS] = (
                        f"{one.name} has no runtime {other.runtime!r}, that of {other.name}"
                    )
                    return None
            rounds = self._arms.rounds()
            step = max(1, len(rounds[0]) // ATTRIBUTED_SEQUENCES)
            self._found.attribution = speed.attribute(
                lambda cell: speed.Contender(
                    self._arms.in_runtime(ArmName(cell.key), cell.runtime, cell.dtype),
                    self._spec.arm(ArmName(cell.key)).tokens_per_batch,
                    self._spec.arm(ArmName(cell.key)).layers,
                ),
                slow,
                fast,
                [sequences[::step] for sequences in rounds],
                rounds=plan.attribution_rounds,
                max_warmup_rounds=plan.warmup_rounds,
            )
        return self._found.attribution

    def memory(self, arm: ArmName) -> Memory:
        """Read an arm's peak memory and its parts in a process of its own, on one timed round."""
        if arm not in self._found.memory:
            plan = self._spec.arm(arm)
            memory, split = measure.measure_memory_split(
                self._arms.preparation.loader(plan),
                self._arms.rounds()[0],
                arm=arm,
                tokens_per_batch=plan.tokens_per_batch,
            )
            self._found.memory[arm] = memory
            self._found.memory_splits[arm] = split
        return self._found.memory[arm]

    def repeats(self, arm: ArmName) -> ParityCheck:
        """Ask whether sequences that were seen before are embedded faster."""
        key = f"{arm}, repeats"
        if key not in self._found.parity:
            # read backwards, they are new to whatever remembers the timed rounds
            pool = [each[::-1] for sequences in self._arms.rounds() for each in sequences]
            subsets = measure.REPEAT_ROUNDS + 2
            chosen = measure.like_subsets(
                list(map(len, pool)),
                subsets=subsets,
                rows=min(REPEATED_SEQUENCES, len(pool) // subsets),
            )
            self._found.parity[key] = (
                measure.repeats(
                    self._arms.embedder(arm),
                    [[pool[row] for row in rows] for rows in chosen],
                    arm=arm,
                    tokens_per_batch=self._spec.arm(arm).tokens_per_batch,
                ),
            )
        return self._found.parity[key][0]

    def _check_outputs(self, contenders: Mapping[str, speed.Contender], number: int) -> None:
        """Compare what the last timed round gave with what its sequences give otherwise."""
        for arm, contender in contenders.items():
            (timed,) = contender.latest
            rounds = self._arms.rounds()
            again = contender.embedder.embed(
                rounds[number % len(rounds)],
                tokens_per_batch=max(1, contender.tokens_per_batch // 2),  # other batch-mates
            )
            self._found.parity[f"{arm}, timed"] = (
                measure.timed_outputs(timed, again, arm=arm, dtype=contender.embedder.spec.dtype),
            )

    def _contender(self, arm: ArmName) -> speed.Contender:
        plan = self._spec.arm(arm)
        return speed.Contender(self._arms.embedder(arm), plan.tokens_per_batch, plan.layers)
