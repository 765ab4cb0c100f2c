"""Embedders of other packages, found by the entry points that they declare.

A package names each of its embedders in the group ``embedder_migration.embedders``; the entry
point leads to a :class:`Plugin`: the embedder's row, and a function that loads it. Nothing is
looked up before somebody asks for a name that is not in the table, or for all names; and only what
is asked for is imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from embedders.alphabet import CLEANING_POLICIES
from embedders.arithmetic import Block
from embedders.checkpoints import CHECKPOINTS, Checkpoint, Family
from embedders.choices import Choices
from embedders.contract import Embedder
from embedders.errors import InputError

GROUP = "embedder_migration.embedders"
"""The group of entry points; the name of each is the embedder's."""
CONTRACT = 1
"""Raised whenever a plug-in that was right before may be wrong now."""

# what importing a module of somebody else's may raise
_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemExit,
    TypeError,
    ValueError,
)


class PluginError(InputError):
    """An embedder of another package that cannot be used; the message names the package."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """What an entry point of the group leads to.

    Attributes
    ----------
    checkpoint
        The embedder's row, of the family ``Family.PLUGIN``. Its name is the entry point's.
    build
        Called as ``build(row, choices)``; returns an :class:`embedders.Embedder` or raises one of
        :mod:`embedders.errors`. What it does not offer it refuses, by :meth:`Choices.refuse`.
    contract
        The ``CONTRACT`` that the plug-in was written for: a number, not the constant.
    block
        The matrices of one layer, for FLOPs and the roofline; without it these are not measured.
    """

    checkpoint: Checkpoint
    build: Callable[[Checkpoint, Choices], Embedder]
    contract: int
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Provided:
    """A plug-in, and the distribution that brings it, e.g. ``acme-embedders 0.3``."""

    plugin: Plugin
    distribution: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A plug-in that cannot be used, and why; ``reason`` names its distribution."""

    name: str
    reason: str


def plugin_names() -> tuple[str, ...]:
    """Names of all plug-ins, in order; nothing is imported, so some may turn out broken."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def find_plugin(name: str) -> Provided | None:
    """Import one plug-in; None if there is none of that name.

    Raises
    ------
    PluginError
        If it cannot be used; see :func:`discover`.
    """
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    return _provided(name, points) if points else None


def discover() -> tuple[tuple[Provided, ...], tuple[Broken, ...]]:
    """Import every plug-in.

    Returns
    -------
    tuple[tuple[Provided, ...], tuple[Broken, ...]]
        Those that can be used, and those that cannot: they fail to import, lead to no
        :class:`Plugin`, were written for another contract, have a name that is taken or another
        one than their row. Both ordered by name.
    """
    there: list[Provided] = []
    broken: list[Broken] = []
    for name in plugin_names():
        try:
            found = find_plugin(name)
        except PluginError as error:
            broken.append(Broken(name, str(error)))
        else:
            there += [found] if found is not None else []
    return tuple(there), tuple(broken)


def check_embedder(found: Provided, choices: Choices, embedder: Embedder) -> Embedder:
    """Hold what a plug-in has built against its row and against what was asked for.

    Raises
    ------
    PluginError
        If they differ; every difference is listed.
    """
    row, spec = found.plugin.checkpoint, embedder.spec
    wanted: dict[str, object] = {
        "name": row.name,
        "width": row.width,
        "modality": row.modality,
        "runtime": choices.runtime,
        "truncation": choices.truncation,
    }
    if choices.dtype is not None:
        wanted["dtype"] = choices.dtype
    differences = [
        f"{key} is {str(getattr(spec, key))!r}, not {str(value)!r}"
        for key, value in wanted.items()
        if getattr(spec, key) != value
    ]
    if spec.cleaning_policy not in CLEANING_POLICIES:
        # both arms of a migration must read the same text
        known = " or ".join(map(repr, CLEANING_POLICIES))
        differences.append(f"cleaning_policy is {spec.cleaning_policy!r}, not {known}")
    if differences:
        raise PluginError(
            f"embedder {row.name!r} of {found.distribution} is not what was asked for: "
            f"{'; '.join(differences)}"
        )
    return embedder


def _provided(name: str, points: Iterable[EntryPoint]) -> Provided:
    by = Counter(map(_distribution, points))
    distributions = " and ".join(sorted(by))
    if name in CHECKPOINTS:
        raise PluginError(
            f"embedder {name!r} of {distributions} is refused: an embedder of this package has "
            "that name, and stays; the plug-in needs another one"
        )
    if by.total() > 1:
        raise PluginError(
            f"embedder {name!r} is brought {by.total()} times, by {distributions}; uninstall all "
            "but one"
        )
    (point,) = points
    plugin = _import(point, distributions)
    fault = _fault(name, plugin)
    if fault:
        raise PluginError(f"embedder {name!r} of {distributions} cannot be used: {fault}")
    return Provided(plugin, distributions)


def _import(point: EntryPoint, distribution: str) -> Plugin:
    try:
        plugin = point.load()
    except _FAILURES as error:
        said = str(error).partition("\n")[0]
        raise PluginError(
            f"embedder {point.name!r} of {distribution} cannot be imported from {point.value!r} "
            f"({type(error).__name__}: {said}); update or uninstall that package"
        ) from error
    if not isinstance(plugin, Plugin):
        raise PluginError(
            f"embedder {point.name!r} of {distribution}: {point.value!r} is "
            f"{type(plugin).__name__}, not an embedders.plugins.Plugin"
        )
    return plugin


def _fault(name: str, plugin: Plugin) -> str:
    row = plugin.checkpoint
    if plugin.contract != CONTRACT:
        return (
            f"it was written for contract {plugin.contract}, this package has {CONTRACT}; update "
            "the older of the two"
        )
    if row.name != name:
        return f"its row has the name {row.name!r}"
    if row.family is not Family.PLUGIN:
        return f"its row is of the family {row.family.value!r}, not {Family.PLUGIN.value!r}"
    return ""


def _distribution(point: EntryPoint) -> str:
    found = point.dist
    return "an unknown package" if found is None else f"{found.name} {found.version}"
