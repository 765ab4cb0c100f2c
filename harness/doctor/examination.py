"""Looks at everything once, and at what one migration needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil

from embedders import checkpoint
from harness import provenance
from harness.doctor import (
    data,
    graphics,
    hub,
    libraries,
    memory,
    processor,
    storage,
    trial,
    weights,
)
from harness.doctor.control_group import Limits, read_limits
from harness.doctor.finding import Examination, Finding
from harness.doctor.graphics import Graphics
from harness.doctor.needs import Need, cuda_reasons, examine_gates, needs_of
from harness.doctor.storage import Amount
from harness.spec import MigrationSpec, read_spec

DEFAULT_OUTPUT = Path("results")
DEFAULT_SEQUENCES = 10_000
"""Sequences of a run that no migration file describes."""


def examine(
    spec_file: Path | None = None,
    *,
    output: Path = DEFAULT_OUTPUT,
    sequences: int | None = None,
) -> Examination:
    """Say what works on this machine, and whether it is enough.

    Parameters
    ----------
    spec_file
        A migration to be run here. Without one, nothing is needed but what every run needs: a
        Python and libraries of the tested versions, and a folder with room to write into.
    output
        Where the run would write.
    sequences
        How many sequences it would embed; by default as many as the migration's data sets hold,
        or 10,000 without one.

    Raises
    ------
    InputError
        If the migration file cannot be read, or names an embedder or a device that there is not.
    """
    spec = None if spec_file is None else read_spec(spec_file)
    needs = () if spec is None else needs_of(spec)
    found = libraries.look()
    limits = read_limits()
    found += _processor(limits)
    if any(finding.details.get("absent") for finding in found):
        # whatever comes next would import what is not there
        return Examination((*found, storage.examine_output(output)))
    machine = graphics.look()
    found += _graphics(spec, needs, machine)
    found += _memory(needs, machine, limits)
    found += _weights(needs, machine)
    found += _storage(spec, output, sequences)
    return Examination(tuple(found))


def _processor(limits: Limits) -> list[Finding]:
    described = provenance.machine()
    features = processor.read_features()
    return [
        processor.examine_cores(described.processor, described.cores, limits, features),
        processor.examine_dtype(processor.measure_products()),
    ]


def _graphics(
    spec: MigrationSpec | None, needs: Sequence[Need], machine: Graphics
) -> list[Finding]:
    reasons = [] if spec is None else cuda_reasons(spec)
    index = max((need.device.index or 0 for need in needs), default=0)
    gates = [] if spec is None else examine_gates(spec)
    return [*graphics.examine(machine, reasons=reasons, index=index), *gates]


def _memory(needs: Sequence[Need], machine: Graphics, limits: Limits) -> list[Finding]:
    host = psutil.virtual_memory()
    free = memory.host_free_bytes(host.available, limits)
    return [
        memory.examine_host(free, host.total, limits),
        *memory.examine_devices(machine),
        *memory.examine_needs(needs, free, machine),
    ]


def _weights(needs: Sequence[Need], machine: Graphics) -> list[Finding]:
    settings = hub.read_settings()
    questions = weights.questions_of(needs)
    fetched = bool(questions)
    if not questions:
        questions = [weights.example()]
    answers = {} if settings.offline else hub.ask(questions)
    return [
        hub.examine(settings, answers, needed=fetched),
        *([] if needs else [weights.examine_cache()]),
        weights.examine_bundled(),
        trial.examine_runtimes(),
        trial.examine_kernel(),
        *(trial.examine_choices(need, there=graphics.has(machine, need.device)) for need in needs),
        *weights.examine_weights(needs, answers, Path(settings.cache)),
    ]


def _storage(spec: MigrationSpec | None, output: Path, sequences: int | None) -> list[Finding]:
    read = []
    if spec is None:
        protein, dna = storage.widest()
        widths = [protein, protein]
        amounts = [Amount(sequences or DEFAULT_SEQUENCES, dna)]
    else:
        widths = [checkpoint(arm.embedder).width for arm in (spec.baseline, spec.candidate)]
        finding, amounts = data.examine(spec, checkpoint(spec.dna.embedder), sequences)
        read = [finding]
    return [
        *read,
        storage.examine_output(output),
        storage.examine_room(storage.free_bytes(output), amounts, widths, assumed=spec is None),
    ]
