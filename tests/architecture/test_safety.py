"""Nothing that comes from outside is run: no source of this project can unpickle or evaluate it.

The sources are read as syntax trees. A detector that finds nothing proves nothing, so each is also
shown what it must find.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("embedders", "classifier", "harness", "benchmarks", "scripts", "tests")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]

# both take the answer from ModelFolder, which settles whether a folder's code may run
REMOTE_CODE = ("embedders/remote_code.py", "embedders/dnabert.py")

FORBIDDEN_MODULES = ("marshal", "shelve", "dill", "cloudpickle")
FORBIDDEN_NAMES = (
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "pickle._Unpickler", "pickle.*"),
    *("_pickle.load", "_pickle.loads", "_pickle.Unpickler", "_pickle.*"),
    *("joblib.load", "joblib.*", "pandas.read_pickle"),
    *("torch.hub.load", "torch.jit.load", "torch.package.PackageImporter", "torch.serialization.*"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.*"),
    *("eval", "exec", "builtins.eval", "builtins.exec", "__import__"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    "shutil.unpack_archive",
)
FORBIDDEN_METHODS = ("extractall", "read_pickle")
TORCH_LOAD = ("torch.load", "torch.serialization.load")
# keyword → the one literal it may have
LITERALS = {"weights_only": True, "allow_pickle": False, "shell": False}


def dangers(source: str, name: str = "somewhere.py") -> list[str]:
    """Return what in a source could run what comes from outside, with line numbers."""
    tree = ast.parse(source)
    aliases = imported_names(tree)
    found = [
        *forbidden_imports(tree),
        *forbidden_references(tree, aliases),
        *unsafe_torch_loads(tree, aliases),
        *unsafe_keywords(tree),
        *remote_code(tree, allowed=name in REMOTE_CODE),
    ]
    return [f"{name}:{line}: {what}" for line, what in sorted(set(found))]


Found = Iterator[tuple[int, str]]


def imported_names(tree: ast.AST) -> dict[str, str]:
    """Return what each imported name stands for, e.g. ``np`` for ``numpy``."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST, aliases: dict[str, str]) -> str:
    """Return the full name that an expression stands for, or an empty text."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)])


def forbidden_imports(tree: ast.AST) -> Found:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        within = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for name in (f"{within}{alias.name}" for alias in node.names):
            if name.partition(".")[0] in FORBIDDEN_MODULES or name in FORBIDDEN_NAMES:
                yield node.lineno, f"imports {name}"


def forbidden_references(tree: ast.AST, aliases: dict[str, str]) -> Found:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node, aliases)
            if name in FORBIDDEN_NAMES or name.partition(".")[0] in FORBIDDEN_MODULES:
                yield node.lineno, f"uses {name}"
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_METHODS:
            yield node.lineno, f"uses {node.attr}"


def unsafe_torch_loads(tree: ast.AST, aliases: dict[str, str]) -> Found:
    safe = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and tame(node)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute) or id(node) in safe:
            continue
        if dotted(node, aliases) in TORCH_LOAD:
            yield node.lineno, "torch.load without weights_only=True"


def tame(call: ast.Call) -> bool:
    return any(
        word.arg == "weights_only" and is_literal(word.value, True) for word in call.keywords
    )


def unsafe_keywords(tree: ast.AST) -> Found:
    for name, value in given_values(tree):
        if name in LITERALS and not is_literal(value, LITERALS[name]):
            yield value.lineno, f"{name}={ast.unparse(value)}"


def remote_code(tree: ast.AST, *, allowed: bool) -> Found:
    for name, value in given_values(tree):
        if name != "trust_remote_code" or is_literal(value, False):
            continue
        settled = isinstance(value, ast.Attribute) and value.attr == "remote_code"
        if not (allowed and settled):
            yield value.lineno, f"trust_remote_code={ast.unparse(value)}"


def given_values(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield every value that a call or a dictionary of options gives to a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value


def is_literal(node: ast.expr, wanted: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is wanted


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_runs_what_comes_from_outside(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not dangers(source, path.relative_to(ROOT).as_posix())


def test_every_package_and_the_tests_themselves_are_read() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(FOLDERS)
    assert Path(__file__) in SOURCES


@pytest.mark.parametrize("name", REMOTE_CODE)
def test_the_files_that_may_run_remote_code_are_those_that_do(name: str) -> None:
    source = (ROOT / name).read_text(encoding="utf-8")
    assert [value for key, value in given_values(ast.parse(source)) if key == "trust_remote_code"]
    assert dangers(source, "somewhere.py")


@pytest.mark.parametrize(
    "snippet",
    [
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import torch\ntorch.load(path, weights_only=safe)",
        "import torch\ntorch.load(path, None, True)",
        "import torch\ntorch.load(path, **{'weights_only': True})",
        "import torch as t\nt.load(path)",
        "from torch import load\nload(path)",
        "from torch import load as read\nread(path)",
        "import torch\nread = torch.load",
        "from functools import partial\nimport torch\npartial(torch.load, weights_only=True)",
        "def f():\n    import torch\n    return torch.load(path)",
        "load_model(path, weights_only=False)",
        "options = {'weights_only': False}",
        "import torch\ntorch.hub.load(repository, model)",
        "import torch\ntorch.jit.load(path)",
        "import pickle\npickle.load(file)",
        "import pickle\npickle.loads(data)",
        "import pickle as p\np.loads(data)",
        "from pickle import loads",
        "from pickle import loads as read\nread(data)",
        "from pickle import *",
        "import pickle\nmap(pickle.loads, several)",
        "import pickle\npickle.Unpickler(file).load()",
        "import _pickle\n_pickle.loads(data)",
        "import marshal",
        "import shelve\nshelve.open(name)",
        "from dill import dumps",
        "import cloudpickle",
        "import joblib\njoblib.load(path)",
        "import pandas as pd\npd.read_pickle(path)",
        "eval(text)",
        "exec(text)",
        "import builtins\nbuiltins.eval(text)",
        "__import__(name)",
        "import yaml\nyaml.load(text)",
        "from yaml import unsafe_load",
        "import subprocess\nsubprocess.run(line, shell=True)",
        "import subprocess\nsubprocess.run(line, shell=asked)",
        "from subprocess import getoutput",
        "import os\nos.system(line)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, **{'allow_pickle': True})",
        "import tarfile\ntarfile.open(path).extractall(folder)",
        "import zipfile\nwith zipfile.ZipFile(path) as archive:\n    archive.extractall()",
        "import shutil\nshutil.unpack_archive(path)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",
        "AutoModel.from_pretrained(path, trust_remote_code=folder.remote_code)",
        "options = {'trust_remote_code': True}",
    ],
)
def test_each_danger_is_found(snippet: str) -> None:
    assert dangers(snippet)


@pytest.mark.parametrize("value", ["True", "asked", "not False", "folder.remote_code or True"])
def test_remote_code_is_asked_of_the_guarded_place_only(value: str) -> None:
    assert dangers(f"build(path, trust_remote_code={value})", REMOTE_CODE[0])


@pytest.mark.parametrize(
    "snippet",
    [
        "import torch\ntorch.load(path, map_location='cpu', weights_only=True, mmap=True)",
        "from torch import load\nload(path, weights_only=True)",
        "import pickle\npickle.dumps(payload)\nexcepted = pickle.UnpicklingError",
        "import json\njson.loads(text)",
        "model.eval()",
        "import re\nre.compile(pattern)",
        "import yaml\nyaml.safe_load(text)",
        "import subprocess\nsubprocess.run(['git', 'status'], check=True)",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "import tarfile\ntarfile.open(path).extractfile(member)",
        "AutoModel.from_pretrained(path, trust_remote_code=False)",
        "'torch.load(path) in a text is no call'",
    ],
)
def test_what_is_harmless_is_not_taken_for_a_danger(snippet: str) -> None:
    assert not dangers(snippet)


def test_a_finding_names_file_line_and_danger() -> None:
    assert dangers("import os\n\nos.system('ls')", "a/b.py") == ["a/b.py:3: uses os.system"]


def opens_pytorch_files(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = imported_names(tree)
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(dotted(call.func, names) in TORCH_LOAD for call in calls)


def test_one_module_of_the_packages_opens_pytorch_files() -> None:
    shipped = FOLDERS[:4]
    ours = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in shipped]
    callers = [path.relative_to(ROOT).as_posix() for path in ours if opens_pytorch_files(path)]
    assert callers == ["embedders/restricted.py"]
