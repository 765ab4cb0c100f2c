"""Ray itself: one that runs already, or one of our own for as long as it is needed."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from embedders.errors import InputError
from harness.cluster.sharing import Node

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no word to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do by default, and warns of
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # else it finds fault with Ray Data's own actors
}
_OWN = {"RAY_memory_monitor_refresh_ms": "0"}
"""A worker's own process answers for its memory, and a batch that is too large is halved."""


KNOCK_S = 10.0
_REMEDY = (
    "give the address that `ray start --head` printed (with RAY_AUTH_MODE=token where the cluster "
    "asks for its token), or leave --address out to use this machine alone"
)


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Have Ray: the one that this process has joined, that at an address, or a new one here.

    A new one is ended on leaving; another is left as it runs.

    Parameters
    ----------
    address
        ``HOST:PORT`` of a running cluster, or ``auto`` for that of this machine; None for a new
        one, whatever ``RAY_ADDRESS`` says.

    Raises
    ------
    InputError
        If Ray is not installed, or does not answer.
    """
    if find_spec("ray") is None or find_spec("pyarrow") is None:
        raise InputError(
            "--engine ray needs Ray Data, which is not installed: "
            "pip install 'embedder-migration[ray]'"
        )
    if address is not None and "://" in address:
        raise InputError(
            f"--address {address}: a run writes beside the cluster's own process, not through a "
            "client; run it on a machine of the cluster with --address auto"
        )
    if address not in (None, "auto"):
        _knock(address)
    import ray  # noqa: PLC0415 - only where it is asked for

    if ray.is_initialized():
        yield
        return
    own = _OWN if address is None else {}
    with _environment(_QUIET | own):
        try:
            with _no_standard_error():
                ray.init(
                    address=address or "local",
                    include_dashboard=False if address is None else None,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except (ConnectionError, ValueError, RuntimeError) as error:
            said = str(error).partition("\n")[0]
            where = "here" if address is None else f"at {address}"
            raise InputError(f"no Ray {where} ({said}); {_REMEDY}") from error
        # else the loss of a worker, which the journal tells, is told on standard output too; Ray
        # has no public switch for that
        ray._private.worker._worker_logs_enabled = False
        try:
            yield
        finally:
            ray.shutdown()


def nodes() -> list[Node]:
    """Return the machines that are up."""
    import ray  # noqa: PLC0415

    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in found]


def _knock(address: str) -> None:
    """Refuse an address where nothing listens, for which Ray would wait ten minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdecimal()):
        raise InputError(f"--address {address!r} is not HOST:PORT, nor auto")
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        raise InputError(f"no Ray at {address} ({error}); {_REMEDY}") from error


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set what the user has not set, for Ray's processes to inherit; Ray's own settings go too."""
    before = frozenset(os.environ)
    os.environ.update({name: value for name, value in values.items() if name not in before})
    try:
        yield
    finally:
        for name in [each for each in os.environ if each.startswith("RAY_")]:
            if name not in before:
                del os.environ[name]


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """Keep what Ray's native code writes past Python, that its log level was set, off the screen.

    What goes wrong comes as an exception.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
