"""A folder of immutable files with one writer, which any later run may complete or mend.

Order of every write: the file under a temporary name, flushed; its final name, flushed; then the
manifest that vouches for it, likewise. So a folder never shows a part of a shard, whatever the
moment at which its writer ends, and what the manifest does not list is simply made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from harness.features.errors import FolderError
from harness.features.journal import JOURNAL_FILE, last_opened, note
from harness.features.manifest import (
    MANIFEST_FILE,
    Budget,
    FileEntry,
    Manifest,
    Window,
    read_manifest,
    write_manifest,
)
from harness.features.rejects import Reject, join_rejects, write_rejects
from harness.features.shard_files import write_shard
from harness.features.shards import Shard
from harness.files import PARTIAL_SUFFIX, make_folder, remove_partials, set_aside
from harness.provenance import sha256

LOCK_FILE = ".lock"
ASIDE_FOLDER = "set-aside"


class Store:
    """An opened folder; made by :func:`open_store`, which holds its lock.

    ``found`` counts the windows that stood, whole, when it was opened; ``aside`` are the files that
    were not what the manifest promises, where they are now.
    """

    def __init__(self, folder: Path, manifest: Manifest, aside: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.manifest = manifest
        self.aside = tuple(aside)
        self.found = len(manifest.windows)
        self._windows = {window.number: window for window in manifest.windows}

    def has(self, number: int) -> bool:
        """Tell whether a window stands."""
        return number in self._windows

    def budget(self, asked: int | None) -> Budget | None:
        """Return the budget to go on with; None where none was asked for and none is recorded.

        The recorded one stands, smaller than asked where memory ran out before, unless another
        one is asked for.
        """
        known = self.manifest.budget
        if known is not None and asked in (None, known.asked):
            return known
        return None if asked is None else Budget(asked, asked)

    def settle(self, budget: Budget) -> None:
        """Record a budget before any window is made with it.

        Raises
        ------
        FolderError
            If the disk refuses.
        """
        with self._named_errors():
            self._write(complete=False, budget=budget)

    def add(
        self,
        number: int,
        *,
        shard: Shard | None,
        rejects: Sequence[Reject] = (),
        residues: int = 0,
        fixes: dict[str, int] | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Write a window's shard and rejects, then the manifest that vouches for them.

        Raises
        ------
        FolderError
            If the disk refuses, e.g. because it is full; what stood before stands still.
        """
        with self._named_errors():
            kept = listed = None
            if shard is not None:
                path = self.folder / f"shard-{number:05d}.{self.manifest.format}"
                write_shard(path, shard)
                kept = FileEntry(path.name, len(shard.ids), sha256(path))
            if rejects:
                path = self.folder / f"rejects-{number:05d}.csv"
                write_rejects(path, rejects)
                listed = FileEntry(path.name, len(rejects), sha256(path))
            records = len(rejects) + (0 if shard is None else len(shard.ids))
            self._windows[number] = Window(number, records, kept, listed, residues, fixes or {})
            self._write(complete=False, budget=budget or self.manifest.budget)

    def finish(self) -> None:
        """Join the lists of rejects and declare the folder whole.

        Raises
        ------
        FolderError
            If the disk refuses.
        """
        with self._named_errors():
            lists = [each.rejects for each in self.manifest.windows if each.rejects is not None]
            join_rejects(self.folder, [self.folder / entry.file for entry in lists])
            self._write(complete=True, budget=self.manifest.budget)

    def note(self, event: str, **details: object) -> None:
        """Write a line into the folder's journal."""
        with self._named_errors():
            note(self.folder, event, **details)

    def _write(self, *, complete: bool, budget: Budget | None) -> None:
        windows = tuple(self._windows[number] for number in sorted(self._windows))
        grown = replace(self.manifest, windows=windows, complete=complete, budget=budget)
        if grown != self.manifest:
            write_manifest(self.folder, grown)
            self.manifest = grown

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FolderError(
                f"{self.folder}: cannot be written to ({error.strerror or error}); the "
                f"{len(self.manifest.shards)} shards that are finished are safe: mend the cause, "
                "e.g. free some disk, and run the same command again to go on from there"
            ) from error


@contextmanager
def open_store(
    folder: Path,
    plan: Manifest,
    *,
    verifying: Callable[[int, int], object] | None = None,
) -> Iterator[Store]:
    """Open a folder for writing: a new one, or one that an equal run has begun or even finished.

    Every file that stands is compared with the manifest's SHA-256. One that is missing or differs
    is set aside (moved into ``set-aside/``), and its window has to be made again.

    Parameters
    ----------
    folder
        Missing, empty, or begun under the same fingerprint.
    plan
        The manifest without windows.
    verifying
        Called with the number of windows verified so far and in all.

    Raises
    ------
    FolderError
        If it holds anything else, is of another fingerprint (the message says what differs),
        another writer has it open (the message says who), or it cannot be written to. Nothing in it
        is changed then.
    ManifestError
        If its manifest is damaged.
    """
    check_store(folder)
    lock = FileLock(folder / LOCK_FILE, blocking=False)
    try:
        make_folder(folder)
        lock.acquire()
    except Timeout as error:
        raise FolderError(
            f"{folder}: is being written by {last_opened(folder)}; wait for it to end, or choose "
            "another folder"
        ) from error
    except OSError as error:
        raise _not_writable(folder, error) from error
    try:
        yield _open_locked(folder, plan, verifying)
    finally:
        lock.release()


def check_store(folder: Path) -> None:
    """Refuse a folder that no run may write into, before anything costly is begun.

    Raises
    ------
    FolderError
        If it is a file, or holds what is not of an embedding folder.
    """
    try:
        names = sorted(each.name for each in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise _not_writable(folder, error) from error
    if MANIFEST_FILE in names:
        return
    strange = [name for name in names if name not in (LOCK_FILE, JOURNAL_FILE) and not _left(name)]
    if strange:
        raise FolderError(
            f"{folder}: already holds {strange[0]!r} and no {MANIFEST_FILE}; a run writes into a "
            "folder of its own: choose another, or empty this one"
        )


def _open_locked(
    folder: Path, plan: Manifest, verifying: Callable[[int, int], object] | None
) -> Store:
    check_store(folder)  # once more: it may have changed before the lock was had
    try:
        if not (folder / MANIFEST_FILE).exists():
            remove_partials(folder)
            note(folder, "opened", fingerprint=plan.fingerprint, versions=plan.versions)
            write_manifest(folder, plan)
            return Store(folder, plan)
        manifest = _matching(folder, plan)
        remove_partials(folder)
        note(folder, "opened", fingerprint=plan.fingerprint, versions=plan.versions)
        return _verified(folder, manifest, verifying)
    except OSError as error:
        raise _not_writable(folder, error) from error


def _matching(folder: Path, plan: Manifest) -> Manifest:
    manifest = read_manifest(folder)
    theirs, ours = manifest.identity(), plan.identity()
    differences = [
        f"{name} is {_short(theirs.get(name))} there and {_short(ours.get(name))} here"
        for name in dict.fromkeys((*theirs, *ours))
        if theirs.get(name) != ours.get(name)
    ]
    if differences:
        raise FolderError(
            f"{folder}: was written by another run: {'; '.join(differences)}; every run writes "
            "into a folder of its own: choose another, or repeat that run exactly"
        )
    return manifest


def _verified(
    folder: Path, manifest: Manifest, verifying: Callable[[int, int], object] | None
) -> Store:
    """Keep the windows whose files are what the manifest promises; set the others aside."""
    good: list[Window] = []
    aside: list[Path] = []
    for count, window in enumerate(manifest.windows, start=1):
        faults = {entry: _fault(folder / entry.file, entry) for entry in window.files}
        for entry, fault in faults.items():
            path = folder / entry.file
            if fault is None:
                continue
            if path.exists():
                aside.append(set_aside(path, folder / ASIDE_FOLDER))
            note(folder, "set aside", file=entry.file, reason=fault)
        if not any(faults.values()):
            good.append(window)
        if verifying is not None:
            verifying(count, len(manifest.windows))
    if len(good) < len(manifest.windows):
        manifest = replace(manifest, windows=tuple(good), complete=False)
        write_manifest(folder, manifest)
    return Store(folder, manifest, aside)


def _fault(path: Path, entry: FileEntry) -> str | None:
    try:
        found = sha256(path)
    except OSError as error:
        return error.strerror or str(error)
    return None if found == entry.sha256 else "its bytes differ from what was written (SHA-256)"


def _left(name: str) -> bool:
    return name.startswith(".") and name.endswith(PARTIAL_SUFFIX)


def _short(value: object) -> str:
    text = repr(value)
    return f"{text[:20]}…" if len(text) > 60 else text


def _not_writable(folder: Path, error: OSError) -> FolderError:
    return FolderError(
        f"{folder}: cannot be written to as a folder ({error.strerror or error}); "
        "choose another output folder"
    )
