"""Documents that are read strictly: JSON without NaN, values of exactly the declared types."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from cattrs import Converter
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from embedders.errors import InputError

T = TypeVar("T")


def read_json(path: Path, *, schema: str, error: type[InputError], remedy: str) -> dict[str, Any]:
    """Read a JSON object that names its own schema.

    Raises
    ------
    error
        If the file cannot be read, is no strict JSON (NaN and infinity are none), or is of another
        schema; the message names the file and, for damage, the remedy.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror})") from problem
    except (ValueError, RecursionError) as problem:
        raise error(f"{path}: not strict JSON ({problem}); {remedy}") from problem
    found = document.get("schema") if isinstance(document, dict) else None
    if found != schema:
        raise error(f"{path}: schema is {found!r}, this version reads {schema!r}")
    return dict(document)


def read_toml(path: Path, kind: type[T], *, error: type[InputError]) -> T:
    """Read a TOML file as a record of one kind; relative paths in it start at its own folder.

    Raises
    ------
    error
        If the file cannot be read, holds an unknown key (the nearest valid one is named), a value
        of a wrong type, or one that the record refuses; the message names the file and the key.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not UTF-8 at byte {problem.start}") from problem
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{path}: not valid TOML: {problem}") from problem
    converter = Converter(forbid_extra_keys=True)
    exact_types(converter)
    converter.register_structure_hook(
        Path, lambda value, _: path.parent / converter.structure(value, str)
    )
    try:
        return converter.structure(document, kind)
    except ClassValidationError as problem:
        raise error(f"{path}: {'; '.join(problems(problem))}") from problem


def exact_types(converter: Converter) -> None:
    """Let a converter coerce nothing but whole numbers to float.

    JSON and TOML have types already; cattrs alone would turn "3" into 3 and 2 into True.
    """
    for kind, accepted in (
        (bool, (bool,)),
        (int, (int,)),
        (float, (int, float)),
        (str, (str,)),
    ):
        converter.register_structure_hook(kind, _exactly(kind, accepted))


def _exactly(kind: type, accepted: tuple[type, ...]) -> Callable[[object, type], object]:
    def structure(value: object, wanted: type) -> object:
        if type(value) not in accepted:
            raise ValueError(f"expected {kind.__name__}, got {value!r}")
        # cattrs asks the hook of str for every StrEnum too, and then wants the member
        return wanted(value)

    return structure


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def problems(error: BaseException, where: str = "") -> Iterator[str]:
    """Flatten cattrs' nested errors into sentences that each name the key."""
    if isinstance(error, ClassValidationError | IterableValidationError):
        grouped = error.group_exceptions()
        for inner, note in grouped[0]:
            part = getattr(note, "name", None)
            part = f"[{note.index}]" if part is None and hasattr(note, "index") else part
            yield from problems(inner, _join(where, part))
        for inner in grouped[1]:
            yield from problems(inner, where)
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [item.name for item in fields(error.cl)]
        for key in sorted(error.extra_fields):
            near = get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            yield f"unknown key {_join(where, key)!r}; {hint}"
    elif isinstance(error, AttributeError | TypeError):
        yield f"{where}: a table or an array is out of place here"  # in Python's words otherwise
    elif isinstance(error, KeyError):
        yield f"missing key {where!r}"  # cattrs' note already named the field
    else:
        yield f"{where}: {error}" if where else str(error)


def _join(where: str, part: object) -> str:
    if part is None:
        return where
    return f"{where}{part}" if str(part).startswith("[") or not where else f"{where}.{part}"
