"""Extraction by a cluster: one scout to know the embedder, then rounds until nothing is missing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from embedders.alphabet import cleaning_policy
from embedders.contract import Cleaned, Embedder, EmbedderSpec
from harness.cluster.session import joined, nodes
from harness.cluster.sharing import Share, share_out
from harness.features.budget import Found, draw_sample
from harness.features.errors import EmbedderBroken
from harness.features.fasta import FastaSurvey, read_fasta
from harness.features.making import Job, Made
from harness.features.resident import Failure
from harness.features.worker import DEFAULT_TIMEOUT_S

FRUITLESS = 2
"""So many rounds may bring no window at all before a run ends."""
_WINDOWS_NAMED = 5


class RayEngine:
    """Many copies of one embedder on Ray; satisfies :class:`harness.features.making.Engine`.

    Use it as a context manager. Ray is started, or joined, and the embedder loaded for the first
    time when it is asked what it is.

    Parameters
    ----------
    loader
        Picklable; called on every machine, e.g. ``functools.partial(embedders.load, "kmer4")``.
    address
        Of a running cluster; None for a Ray of its own on this machine.
    workers
        None: see :func:`harness.cluster.sharing.share_out`.
    on_gpus
        Whether each worker needs a GPU; None: if there is any.
    timeout_s
        Seconds for one batch.
    """

    def __init__(
        self,
        loader: Callable[[], Embedder],
        *,
        address: str | None = None,
        workers: int | None = None,
        on_gpus: bool | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._loader = loader
        self._address = address
        self._workers = workers
        self._on_gpus = on_gpus
        self._timeout_s = timeout_s
        self._stack = ExitStack()
        self._scout: Any = None
        self._share: Share | None = None
        self._spec: EmbedderSpec | None = None
        self._events: list[str] = []

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End what was started."""
        self._scout = None  # with its last handle the actor ends
        self._stack.close()

    @property
    def spec(self) -> EmbedderSpec:
        """What the embedder is, as the first worker loaded it.

        Raises
        ------
        InputError
            If there is no Ray, no room for the workers, or as the loader raises it.
        EmbedderBroken, WorkerHung
            If it cannot be loaded.
        """
        if self._spec is None:
            self._stack.enter_context(joined(self._address))
            self._share = share_out(nodes(), self._workers, on_gpus=self._on_gpus)
            self._send_scout(self._share)
            self._spec = self._ask("spec")
        return self._spec

    def clean(self, sequence: str) -> Cleaned:
        """Apply, in this process, the cleaning policy that the spec names.

        Raises
        ------
        UnknownName
            If the name is in no table.
        RejectedSequence
            If the policy refuses the sequence.
        """
        return cleaning_policy(self.spec.cleaning_policy)(sequence)

    def find_budget(self, fasta: Path, survey: FastaSurvey) -> Found:
        """Find a token budget on the scout's machine; the sample is drawn here.

        Raises
        ------
        EmbedderBroken
            If the scout's embedder cannot be started again.
        FastaError
            As reading raises it.
        """
        known = self._ask("recall")
        if isinstance(known, Found):
            return known
        sample = draw_sample(read_fasta(fasta, expected=survey), survey.records, self)
        found: Found = self._ask("search", sample, known)
        return found

    def make(self, job: Job, settled: Callable[[int], object]) -> Generator[Made, None, None]:
        """Yield the missing windows as they come from the workers.

        What is lost with a worker is made again in another round. A window that takes its worker
        along each time is the only one left in the end, and ends the run after ``FRUITLESS``
        rounds.

        Raises
        ------
        EmbedderBroken
            If windows are lost again and again, or workers disagree on the embedder.
        InputError, WorkerHung
            As a worker or the reader came upon it.
        """
        from harness.cluster.rounds import IN_FLIGHT, Crew, one_round  # noqa: PLC0415 - imports Ray

        spec, share = self.spec, self._share
        assert share is not None  # noqa: S101 - set with the spec
        self._dismiss_scout()
        crew = Crew(self._loader, spec, share, self._timeout_s)
        fruitless, in_flight = 0, IN_FLIGHT
        while missing := job.windows - len(job.standing):
            done: set[int] = set()
            budget = job.tokens_per_batch
            workers = min(missing, _room(share))
            with closing(one_round(job, crew, workers, in_flight=in_flight)) as outcomes:
                for made, events in outcomes:
                    if isinstance(made, Failure):
                        self._events.extend(events)
                        raise made.error()
                    done.add(made.number)
                    budget = min(budget, made.tokens_per_batch)
                    settled(made.records)
                    yield made
            job = replace(job, standing=job.standing | done, tokens_per_batch=budget)
            fruitless, in_flight = 0 if done else fruitless + 1, 1
            if fruitless == FRUITLESS:
                raise EmbedderBroken(
                    f"{job.fasta}, {_lost(job)}: no worker came back from them, {FRUITLESS} times "
                    "in a row; the others are done: see why in Ray's logs, then run the same "
                    "command again, or without --engine ray"
                )
            if len(job.standing) < job.windows:
                self._events.append(f"{_lost(job)} were lost with a worker, and made again")

    def take_events(self) -> tuple[str, ...]:
        """Return one sentence for each loss, or restart, since the last call."""
        events, self._events = tuple(self._events), []
        return events

    def _send_scout(self, share: Share) -> None:
        """Start the first worker."""
        import ray  # noqa: PLC0415

        from harness.cluster.workers import Scout  # noqa: PLC0415 - imports what comes with Ray

        room = {"num_cpus": share.cpus, "num_gpus": share.gpus}
        scout = ray.remote(Scout).options(**room, max_restarts=1, max_task_retries=1)
        self._scout = scout.remote(self._loader, share.cpus, self._timeout_s)

    def _ask(self, question: str, *arguments: object) -> Any:  # noqa: ANN401 - what it answers
        import ray  # noqa: PLC0415

        try:
            answer = ray.get(getattr(self._scout, question).remote(*arguments))
            self._events.extend(ray.get(self._scout.take_events.remote()))
        except ray.exceptions.RayActorError as error:
            raise EmbedderBroken(
                f"the worker that was to load the embedder was lost twice ({error}); see why in "
                "Ray's logs"
            ) from error
        if isinstance(answer, Failure):
            raise answer.error()
        return answer

    def _dismiss_scout(self) -> None:
        """Give its room, and the memory of its device, to the workers."""
        import ray  # noqa: PLC0415

        if self._scout is not None:
            ray.get(self._scout.close.remote())
            ray.kill(self._scout)
            self._scout = None


def _room(share: Share) -> int:
    workers = share.fits(nodes())
    if workers == 0:
        raise EmbedderBroken(
            "no machine of the cluster has room for a worker any more; what is finished is safe: "
            "run the same command again when there is one"
        )
    return workers


def _lost(job: Job) -> str:
    """Name the windows of a job that are missing, by their records."""
    numbers = [number for number in range(job.windows) if number not in job.standing]
    named = ", ".join(
        f"{number * job.shard_size + 1:,} to "
        f"{min((number + 1) * job.shard_size, job.survey.records):,}"
        for number in numbers[:_WINDOWS_NAMED]
    )
    return f"records {named}{', …' if len(numbers) > _WINDOWS_NAMED else ''}"
