"""Package files are checked before they are used, and every archive form gives its members."""

import hashlib
import importlib.util
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

# The scripts are run by hand from the repository and are no installed package.
_PATH = Path(__file__).parents[2] / "scripts" / "sources.py"


@pytest.fixture(scope="module")
def sources() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sources_under_test", _PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_cached_file_of_the_pinned_hash_is_not_fetched_again(
    sources: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "a.whl").write_bytes(b"content")
    pinned = hashlib.sha256(b"content").hexdigest()
    source = sources.PypiFile("no-such-project", "0", "a.whl", pinned)
    assert sources.fetch(source, tmp_path) == tmp_path / "a.whl"


def test_a_cached_file_of_another_hash_is_refused_with_both_hashes(
    sources: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "a.whl").write_bytes(b"other")
    source = sources.PypiFile("no-such-project", "0", "a.whl", "0" * 64)
    found = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(sources.SourceError, match=f"{found}, expected {'0' * 64}"):
        sources.fetch(source, tmp_path)


def test_a_failed_download_leaves_no_file_and_says_what_was_run(
    sources: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "no such version")

    monkeypatch.setattr(subprocess, "run", refuse)
    source = sources.DebianFile("some-package", "1-2", "some-package_1-2_all.deb", "0" * 64)
    with pytest.raises(
        sources.SourceError, match=r"download some-package=1-2(?s:.*)no such version"
    ):
        sources.fetch(source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_wheel_members_are_read_by_name(sources: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("pkg/data.txt", b"letters")
    assert sources.read_member(tmp_path / "a.whl", "pkg/data.txt") == b"letters"


def test_sdist_members_are_read_without_a_leading_dot(sources: ModuleType, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        entry = tarfile.TarInfo("./pkg/data.txt")
        entry.size = 7
        tar.addfile(entry, io.BytesIO(b"letters"))
    assert dict(sources.members(tmp_path / "a.tar.gz")) == {"pkg/data.txt": b"letters"}


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not on this machine")
def test_debian_package_members_are_read_by_name(sources: ModuleType, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y.invalid>\nDescription: a\n"
    )
    (root / "usr").mkdir()
    (root / "usr" / "data.txt").write_bytes(b"letters")
    package = tmp_path / "a_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(package)], check=True)
    assert sources.read_member(package, "usr/data.txt") == b"letters"


def test_a_missing_member_is_named(sources: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("pkg/data.txt", b"letters")
    with pytest.raises(sources.SourceError, match="no member pkg/other"):
        sources.read_member(tmp_path / "a.whl", "pkg/other")
