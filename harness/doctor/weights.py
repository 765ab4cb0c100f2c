"""Weights: bundled, in the hub's cache or in a folder; present, and what they promise to be."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from embedders import CHECKPOINTS, Family, InputError, WeightsError
from embedders.families import adapter_of
from embedders.files import stored_tensors, weight_files
from embedders.hub import check_revision
from embedders.remote_code import ModelFolder
from embedders.weights import open_weights, promised_sha256
from harness.doctor.finding import Finding, Status, fine, lacking
from harness.doctor.hub import Answer, Question
from harness.doctor.memory import BYTES_PER_VALUE, parameters_of
from harness.doctor.needs import MINI, Need
from harness.doctor.sizes import size
from harness.doctor.storage import nearest_existing

_SHA256_NAME = re.compile(r"[0-9a-f]{64}")
_SHOWN_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Cached:
    """A snapshot in the hub's cache that has its weight files, all of them."""

    folder: Path
    files: tuple[Path, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of the weight files."""
        return sum(path.stat().st_size for path in self.files)


def examine_bundled() -> Finding:
    """Read the bundled weights to their end: names, shapes and the pinned SHA-256 must hold."""
    rows = [row for row in CHECKPOINTS.values() if row.bundled is not None]
    faults: dict[str, str] = {}
    for row in rows:
        try:
            for _ in open_weights(row, MINI, device=torch.device("cpu")):
                pass
        except WeightsError as error:
            faults[row.name] = str(error)
    details: dict[str, object] = {row.name: faults.get(row.name, "verified") for row in rows}
    if faults:
        found = "; ".join(f"{name}: {fault}" for name, fault in faults.items())
        return lacking(
            "bundled weights", found, "install this project again", needed=False, details=details
        )
    names = ", ".join(row.name for row in rows)
    return fine("bundled weights", f"{names}: present, SHA-256 verified", details=details)


def find_cached(repository: str, revision: str | None, *, code: bool = False) -> Cached | None:
    """Look a repository's commit up in the hub's cache, without asking the hub.

    Parameters
    ----------
    code
        Whether the code that comes with the weights must be there as well.

    Returns
    -------
    Cached or None
        None if the commit is not there, or has no weight file, or not all of what is needed.
    """
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - heavy
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        # newer clients also refuse a snapshot that lacks files which are of no use here
        partial = getattr(error, "snapshot_path", None)
        if partial is None:
            return None
        folder = Path(partial)
    if code and not any(folder.glob("*.py")):
        return None
    try:
        return Cached(folder, tuple(weight_files(folder)))
    except WeightsError:
        return None


def examine_cache() -> Finding:
    """Say which checkpoints' pinned commits are in the hub's cache; sizes are read, no more."""
    rows = [(row, row.hub_id) for row in CHECKPOINTS.values() if row.hub_id is not None]
    cached = {row.name: find_cached(hub_id, row.revision) for row, hub_id in rows}
    there = [f"{name} ({size(each.size_bytes)})" for name, each in cached.items() if each]
    absent = [name for name, each in cached.items() if each is None]
    details: dict[str, object] = {
        row.name: {
            "revision": row.revision,
            "cached": each is not None,
            "bytes": None if each is None else each.size_bytes,
        }
        for (row, _), each in zip(rows, cached.values(), strict=True)
    }
    sentences = [f"in the cache, not verified: {', '.join(there)}"] if there else []
    sentences += [f"not in the cache: {', '.join(absent)}"] if absent else []
    found = "; ".join(sentences)
    if not absent:
        return fine("hub weights", found, details=details)
    remedy = 'a run with weights = "hub" fetches what it needs'
    return lacking("hub weights", found, remedy, needed=False, details=details)


def example() -> Question:
    """Return a question to a hub that nothing is to be fetched from: the first of the table."""
    row = next(row for row in CHECKPOINTS.values() if row.hub_id is not None)
    return Question(str(row.hub_id), row.revision)


def questions_of(needs: Iterable[Need]) -> list[Question]:
    """Return what is to be fetched: commits that the cache has not got."""
    wanted = [
        _question(need)
        for need in needs
        if need.from_hub and need.checkpoint.hub_id is not None and _cached(need) is None
    ]
    return list(dict.fromkeys(wanted))


def examine_weights(
    needs: Iterable[Need], answers: Mapping[Question, Answer], cache: Path
) -> list[Finding]:
    """Say whether each embedder's weights are there, whole and unchanged, or can be fetched.

    What is there is read to its end, once, and every hash that it promises is compared.

    Parameters
    ----------
    answers
        What the hub says of weights that are to be fetched; nothing where it was not asked.
    cache
        The hub's cache, on the disk that is to hold them.
    """
    read: set[Path] = set()
    return [_examine_need(need, answers, cache, read) for need in needs]


def _examine_need(
    need: Need, answers: Mapping[Question, Answer], cache: Path, read: set[Path]
) -> Finding:
    if need.checkpoint.family is Family.PLUGIN:
        found = f"{need.checkpoint.name}: its own package finds them; not examined"
        return fine(f"{need.part} weights", found, needed=True, details={"verified": None})
    try:
        if need.revision is not None:
            check_revision(need.revision)
        if need.random or need.weights == MINI or _unusable(need):
            return _opened(need)
        if not need.from_hub:
            return _verified(need, Path(need.weights), "folder", read)
        cached = _cached(need)
        if cached is not None:
            return _verified(need, cached.folder, "hub", read)
        return _to_be_fetched(need, answers.get(_question(need)), cache)
    except InputError as error:
        remedy = f"put that right, or name other weights in [{need.part}]"
        found = f"{need.checkpoint.name}: {error}"
        return lacking(
            f"{need.part} weights", found, remedy, needed=True, details={"verified": False}
        )


def _unusable(need: Need) -> bool:
    """Tell whether loading refuses these choices before it looks for any weights."""
    if need.from_hub:
        return need.checkpoint.hub_id is None or need.layers is not None
    return need.revision is not None or need.layers is not None


def _opened(need: Need) -> Finding:
    """Open weights that are drawn or bundled; raises InputError for choices that are refused."""
    stream = adapter_of(need.checkpoint).tensors(
        need.checkpoint,
        need.weights,
        device=torch.device("cpu"),
        layers=need.layers,
        revision=need.revision,
    )
    subject, name = f"{need.part} weights", need.checkpoint.name
    if need.random:
        found = f"{name}: random, nothing to be fetched"
        return fine(subject, found, needed=True, details={"source": "random", "verified": None})
    for _ in stream or ():
        pass
    found = f"{name}: bundled, SHA-256 verified"
    return fine(subject, found, needed=True, details={"source": MINI, "verified": True})


def _question(need: Need) -> Question:
    return Question(need.checkpoint.hub_id or "", need.wanted_revision)


def _cached(need: Need) -> Cached | None:
    return find_cached(need.checkpoint.hub_id or "", need.wanted_revision, code=need.remote_code)


def _to_be_fetched(need: Need, answer: Answer | None, cache: Path) -> Finding:
    row, revision = need.checkpoint, need.wanted_revision
    at = f"commit {revision[:_SHOWN_DIGITS]}" if revision else "the newest commit"
    subject, absent = f"{need.part} weights", f"{row.name}: {at} is not in the cache"
    whole = parameters_of(row) * BYTES_PER_VALUE["float32"]
    details = {"source": "hub", "revision": revision, "verified": None, "download_bytes": whole}
    if answer is None:
        remedy = "unset HF_HUB_OFFLINE, or set HF_HOME to a cache that has it"
        found = f"{absent}, and offline"
        return lacking(subject, found, remedy, needed=True, details=details)
    if not answer.has:
        found = f"{absent}, nor to be had from the hub ({answer.fault})"
        remedy = "connect, set HF_TOKEN for restricted access, or name a folder of weights"
        return lacking(subject, found, remedy, needed=True, details=details)
    free = shutil.disk_usage(nearest_existing(cache)).free
    found = f"{absent}; the hub has it, about {size(whole)}; {size(free)} free"
    if whole >= free:
        remedy = f"set HF_HOME to a disk with more room than that of {cache}"
        return lacking(subject, found, remedy, needed=True, details=details)
    return Finding(subject, Status.NOTE, True, found, "the first run fetches them", details)


def _verified(need: Need, folder: Path, source: str, read: set[Path]) -> Finding:
    """Read a folder of weights to its end; raises InputError at whatever is wrong with it."""
    row = need.checkpoint
    if need.remote_code:
        ModelFolder(folder, source, need.remote_code)
    else:
        adapter_of(row).examine(row, folder)
    files = weight_files(folder)
    pinned = promised_sha256(row, source)
    if folder not in read:
        for _ in stored_tensors(folder, expected_sha256=pinned):
            pass  # every file is hashed, where a hash is promised, before its first tensor
        read.add(folder)
    promised = pinned is not None or all(map(_names_its_hash, files))
    whole = sum(path.stat().st_size for path in files)
    state = "SHA-256 verified" if promised else "read whole, no SHA-256 to compare with"
    where = "in the cache" if source == "hub" else folder
    return fine(
        f"{need.part} weights",
        f"{row.name}: {size(whole)} {where}, {state}",
        needed=True,
        details={
            "source": source,
            "revision": need.wanted_revision if source == "hub" else None,
            "verified": promised,
            "bytes": whole,
        },
    )


def _names_its_hash(path: Path) -> bool:
    """Tell whether a file is a link to a blob of the hub's cache, named by its SHA-256."""
    return path.is_symlink() and _SHA256_NAME.fullmatch(path.resolve().name) is not None
