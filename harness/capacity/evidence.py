"""What stored runs say of one embedder on one device: work that was timed, ceilings, power."""

from __future__ import annotations

from dataclasses import dataclass

from embedders import RUNTIMES, EmbedderSpec, InputError, UnknownName, arithmetic_of, checkpoint
from embedders.arithmetic import Arithmetic
from embedders.contract import Modality
from harness.capacity.fitting import Observation
from harness.provenance import Machine

END_TO_END = "end to end, from FASTA to shards"
BOTH = "forward passes, and extraction from FASTA to shards"
FORWARD = "forward passes alone: reading, handing over and writing are not in it"


@dataclass(frozen=True, slots=True)
class Choice:
    """An embedder in a runtime and a dtype, as one arm is to be deployed.

    ``attention`` is None where any will do.
    """

    embedder: str
    runtime: str
    dtype: str
    attention: str | None = None

    def __post_init__(self) -> None:
        if checkpoint(self.embedder).modality is not Modality.PROTEIN:
            raise InputError(
                f"{self.embedder} embeds no proteins; choose one of 'harness list' that does"
            )
        self.arithmetic()

    @classmethod
    def of(cls, embedder: str, runtime: str | None, dtype: str | None) -> Choice:
        """Return a choice with the embedder's own runtime, and float32, where none is given."""
        row = checkpoint(embedder)
        if runtime is not None and runtime not in RUNTIMES and runtime != row.default_runtime:
            raise UnknownName("runtime", runtime, RUNTIMES)
        return cls(embedder, runtime or row.default_runtime, dtype or "float32")

    @classmethod
    def read(cls, text: str) -> Choice:
        """Read ``NAME[:RUNTIME[:DTYPE]]``.

        Raises
        ------
        InputError
            If a part is unknown, or there are more of them.

        Examples
        --------
        >>> str(Choice.read("esm2-8m:packed"))
        'esm2-8m packed float32'
        """
        name, *others = text.split(":")
        if len(others) > 2:
            raise InputError(f"{text!r} is not NAME[:RUNTIME[:DTYPE]], such as esm2-3b:fair-esm")
        runtime, dtype = [*others, "", ""][:2]
        return cls.of(name, runtime or None, dtype or None)

    def arithmetic(self) -> Arithmetic:
        """Return what the whole model multiplies.

        Raises
        ------
        InputError
            If that is not known, so that nothing can be projected.
        """
        found = arithmetic_of(self.embedder)
        if found is None:
            raise InputError(
                f"{self.embedder}: what it multiplies is not known, so nothing can be projected; "
                "its package has to say (docs/embedders.md)"
            )
        return found

    def __str__(self) -> str:
        return " ".join(
            each for each in (self.embedder, self.runtime, self.attention, self.dtype) if each
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """One embedder as one stored run measured it.

    ``tokens_per_batch`` is None where the run does not record it. ``coverage`` says what the
    seconds hold. ``utilisation`` is the useful part of ``ceiling_flops_per_s``; ``watts`` what the
    whole device drew on average meanwhile.
    """

    run: str
    started: str
    spec: EmbedderSpec
    machine: Machine
    tokens_per_batch: int | None = None
    observations: tuple[Observation, ...] = ()
    coverage: str = FORWARD
    utilisation: float | None = None
    ceiling_flops_per_s: float | None = None
    watts: float | None = None

    @property
    def choice(self) -> Choice:
        """What was measured."""
        spec = self.spec
        return Choice(spec.name, spec.runtime, spec.dtype, spec.attention)

    @property
    def on_gpu(self) -> bool:
        """Tell whether the device is a GPU."""
        return self.spec.device.startswith("cuda")

    @property
    def device(self) -> str:
        """The device by name: a GPU's own, or the processor and how many of its cores."""
        if self.on_gpu:
            return self.machine.accelerator or self.spec.device
        return f"{self.machine.processor}, {self.machine.cores} cores"

    def fits(self, choice: Choice) -> bool:
        """Tell whether this is that embedder in that runtime and dtype."""
        own = self.choice
        return (own.embedder, own.runtime, own.dtype) == (
            choice.embedder,
            choice.runtime,
            choice.dtype,
        ) and choice.attention in (None, own.attention)


@dataclass(frozen=True, slots=True)
class Records:
    """All evidence of some stored runs; ``troubles`` are sentences on runs that were not read."""

    evidence: tuple[Evidence, ...] = ()
    troubles: tuple[str, ...] = ()

    def on_device(self, wanted: str | None) -> Records:
        """Return the evidence of one device.

        Parameters
        ----------
        wanted
            ``cpu``, ``cuda``, or a part of its name; None takes the only one there is.

        Raises
        ------
        InputError
            If that is not exactly one; the message lists those there are.
        """
        kept = [each for each in self.evidence if wanted is None or _called(each, wanted)]
        devices = sorted({each.device for each in kept})
        if len(devices) == 1 or (not devices and wanted is None):
            return Records(tuple(kept), self.troubles)
        known = "; ".join(sorted({each.device for each in self.evidence})) or "none"
        asked = "several devices" if wanted is None else f"{wanted!r}"
        said = "not one device" if wanted is None or devices else "no device"
        raise InputError(
            f"{asked}: {said} of the stored runs (there are: {known}); name one with --device, or "
            "state another one's --ceiling-tflops and --utilisation"
        )

    def newest(self, choice: Choice) -> Evidence | None:
        """Return the newest timed evidence of a choice, or None.

        Where a run timed several kinds of attention, that which the runtime itself prefers.
        """
        found = [each for each in self.evidence if each.fits(choice) and each.observations]
        order = RUNTIMES[choice.runtime].attentions if choice.runtime in RUNTIMES else ()
        newest = max((each.started for each in found), default="")
        last = [each for each in found if each.started == newest]
        ranks = {kind: place for place, kind in enumerate(order)}
        return min(last, key=lambda each: ranks.get(each.spec.attention or "", 0), default=None)

    def others(self, choice: Choice) -> int:
        """Return how many older runs of a choice are left aside."""
        runs = {each.run for each in self.evidence if each.fits(choice) and each.observations}
        return max(0, len(runs) - 1)

    def titles(self) -> str:
        """List what there is, for a message."""
        known = sorted({f"{each.choice} ({each.run})" for each in self.evidence})
        return "; ".join(known) or "none"


def _called(evidence: Evidence, wanted: str) -> bool:
    kind = "cuda" if evidence.on_gpu else "cpu"
    return wanted.lower() == kind or wanted.lower() in evidence.device.lower()
