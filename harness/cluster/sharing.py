"""How many workers a cluster is given, and what each of them gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embedders.errors import InputError


@dataclass(frozen=True, slots=True)
class Node:
    """What one machine of a cluster has to give."""

    cpus: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Share:
    """So many workers, each with ``cpus`` cores (and as many threads) and ``gpus`` GPUs."""

    workers: int
    cpus: int
    gpus: int

    def fits(self, nodes: Sequence[Node]) -> int:
        """Return how many of the workers have room on these machines."""
        room = sum(_room(node, self.cpus, self.gpus) for node in nodes)
        return min(self.workers, room)


def share_out(nodes: Sequence[Node], workers: int | None, *, on_gpus: bool | None) -> Share:
    """Divide a cluster among workers.

    On GPUs each worker has one of them and an equal part of its machine's cores. Else each has as
    many cores as all can have alike; a worker never spans machines.

    Parameters
    ----------
    nodes
        The machines.
    workers
        None: one for each GPU; without GPUs as many as there are machines, so that one machine has
        one worker with all of its cores, as a run without a cluster does.
    on_gpus
        None: if there is any GPU.

    Raises
    ------
    InputError
        If the cluster has no GPU, or no room for so many workers.

    Examples
    --------
    >>> share_out([Node(cpus=8, gpus=0), Node(cpus=8, gpus=0)], None, on_gpus=None)
    Share(workers=2, cpus=8, gpus=0)
    >>> share_out([Node(cpus=16, gpus=4)], None, on_gpus=None)
    Share(workers=4, cpus=4, gpus=1)
    """
    graphics = sum(node.gpus for node in nodes)
    if on_gpus and graphics == 0:
        raise InputError(
            "no machine of the cluster has a GPU that Ray knows of; use --device cpu, or start Ray "
            "where the GPUs are"
        )
    gpus = int(graphics > 0 if on_gpus is None else on_gpus)
    able = [node for node in nodes if node.cpus > 0 and node.gpus >= gpus]
    wanted = workers or (graphics if gpus else len(able))
    for cpus in range(max((node.cpus for node in able), default=0), 0, -1):
        share = Share(wanted, cpus, gpus)
        if share.fits(able) == wanted:
            return share
    cores = sum(node.cpus for node in nodes)
    raise InputError(
        f"no room for {wanted} workers on {len(nodes)} machines with {cores} cores and {graphics} "
        f"GPUs in all, where each needs {'a GPU and ' if gpus else ''}a core; use fewer --workers"
    )


def _room(node: Node, cpus: int, gpus: int) -> int:
    room = node.cpus // cpus
    return min(room, node.gpus // gpus) if gpus else room
