"""One pass of Ray Data over the windows that are missing."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import ray
import ray.data
from ray.exceptions import RayError
from ray.util.annotations import RayDeprecationWarning

from embedders.contract import Embedder, EmbedderSpec
from harness.cluster.reading import Turnstile, Windows
from harness.cluster.rows import Outcome, read_made
from harness.cluster.sharing import Share
from harness.cluster.workers import WindowMaker
from harness.features.making import Job

IN_FLIGHT = 2
"""Windows that a worker has at most: the one that it is at, and the next, on its way to it. After a
loss it has one only, so that a window that takes its worker along takes no other along with it."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Who embeds: so many equal workers, each with the embedder that ``spec`` describes."""

    loader: Callable[[], Embedder]
    spec: EmbedderSpec
    share: Share
    timeout_s: float


def one_round(
    job: Job, crew: Crew, workers: int, *, in_flight: int = IN_FLIGHT
) -> Generator[Outcome, None, None]:
    """Yield each missing window as it is made, in any order; those lost with a worker do not come.

    A worker that dies is started again by Ray, wherever there is room, but nothing waits for it:
    its windows are left to the next round, and so a machine that never comes back holds nothing up.
    """
    here = ray.get_runtime_context().get_node_id()
    beside = {"label_selector": {"ray.io/node-id": here}, "num_cpus": 0}
    # twice what workers can have, so that none waits for the reader
    turnstile = ray.remote(Turnstile).options(**beside).remote(2 * in_flight * workers)
    with ray.data.DataContext.current(_settings()), warnings.catch_warnings():
        # Ray Data has no other way yet to set what becomes of a task whose actor dies
        warnings.simplefilter("ignore", RayDeprecationWarning)
        windows = ray.data.read_datasource(
            Windows(job, turnstile), override_num_blocks=1, **beside
        ).map_batches(
            WindowMaker,
            fn_constructor_args=(crew.loader,),
            fn_constructor_kwargs={
                "expected": crew.spec,
                "fasta": job.fasta,
                "tokens_per_batch": job.tokens_per_batch,
                "threads": crew.share.cpus,
                "timeout_s": crew.timeout_s,
                "turnstile": turnstile,
            },
            batch_size=None,  # a block is one window
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(
                size=workers, max_tasks_in_flight_per_actor=in_flight
            ),
            num_cpus=crew.share.cpus,
            num_gpus=crew.share.gpus,
            max_restarts=-1,
            max_task_retries=0,
        )
        blocks = iter(windows.iter_batches(batch_size=None, batch_format="pyarrow"))
    with closing(_until_lost(blocks)) as coming:
        for block in coming:
            yield read_made(block, crew.spec.width)


def _until_lost(blocks: Any) -> Generator[Any, None, None]:  # noqa: ANN401 - Arrow has no types
    """Yield blocks; one that is lost with the machine that held it ends the round."""
    try:
        for block in blocks:
            if len(block):
                yield block
    except RayError as error:
        logging.getLogger(__name__).info("a round ended early: %s", error)


def _settings() -> ray.data.DataContext:
    """Return Ray Data's settings: a row is a block, errors are left out, and nothing is shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it copies what it deprecates
        settings = ray.data.DataContext.get_current().copy()
    settings.target_max_block_size = 1
    settings.max_errored_blocks = -1
    settings.execution_no_progress_timeout_s = -1  # the time-out of a batch is the worker's own
    settings.enable_progress_bars = False
    settings.print_on_execution_start = False
    settings.enable_auto_log_stats = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return settings
