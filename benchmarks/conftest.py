"""Options, fixtures and reporting of the suite; the measuring itself is in ``harness``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import DEMO
from embedders import InputError
from harness.migration import Migration
from harness.report import printable, suite_properties, terminal_summary, write_step_summary
from harness.results import EXIT_CODES, Comparison, to_json
from harness.spec import ArmName

MIGRATION = pytest.StashKey[Migration]()
COMPARISON = pytest.StashKey[Comparison]()
RECORD = pytest.StashKey[Callable[[str, object], None]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("migration", "embedder migration")
    group.addoption(
        "--migration", type=Path, default=DEMO, metavar="SPEC.toml", help="default: the demo"
    )
    group.addoption("--weights", help="hub, mini, random[:SEED] or a folder, for both arms")
    group.addoption("--device", help="overrides the migration file's")
    group.addoption("--layers", type=int, help="cut the depth (random weights only)")
    group.addoption(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="default: results"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):
        raise pytest.UsageError("timings mean nothing in parallel: leave out -n")
    try:
        migration = Migration.prepare(
            config.getoption("migration"),
            results=config.getoption("results"),
            weights=config.getoption("weights"),
            device=config.getoption("device"),
            layers=config.getoption("layers"),
            command=shlex.join(["pytest", *config.invocation_params.args]),
        )
    except InputError as error:
        raise pytest.UsageError(printable(str(error))) from error
    config.stash[MIGRATION] = migration
    if config.option.benchmark_json is None:
        config.option.benchmark_json = migration.folder / "benchmark.json"


@pytest.fixture(scope="session", autouse=True)
def _junit_properties(
    pytestconfig: pytest.Config, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Keep what writes into ``--junit-xml``: properties of the suite, as xunit2 has no others."""
    pytestconfig.stash[RECORD] = record_testsuite_property


@pytest.fixture(scope="session")
def migration(pytestconfig: pytest.Config) -> Migration:
    """Return the migration under test; what it measures, it keeps."""
    return pytestconfig.stash[MIGRATION]


@pytest.fixture(params=list(ArmName), ids=str)
def arm(request: pytest.FixtureRequest) -> ArmName:
    """Return each arm in turn."""
    return ArmName(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dataset" in metafunc.fixturenames:
        spec = metafunc.config.stash[MIGRATION].spec
        metafunc.parametrize("dataset", [dataset.name for dataset in spec.datasets])


@pytest.fixture
def rounds_timer(
    benchmark: BenchmarkFixture,
) -> Callable[[Callable[[int], object], int, int], list[float] | None]:
    """Return a timer for numbered rounds that pytest-benchmark keeps the time of."""

    def timer(work: Callable[[int], object], rounds: int, warmup_rounds: int) -> list[float] | None:
        numbers = iter(range(rounds + warmup_rounds + 1))
        benchmark.pedantic(  # type: ignore[no-untyped-call]
            work,
            setup=lambda: ((next(numbers),), {}),
            rounds=rounds,
            warmup_rounds=warmup_rounds,
        )
        return list(benchmark.stats.stats.data) if benchmark.stats else None

    return timer


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    machine_info["harness"] = config.stash[MIGRATION].machine()


@pytest.hookimpl(trylast=True)
def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: object, output_json: dict[str, Any]
) -> None:
    """Keep the run's own copy wherever ``--benchmark-json`` puts the user's."""
    del benchmarks
    own = config.stash[MIGRATION].folder / "benchmark.json"
    if config.option.benchmark_json.resolve() != own.resolve():
        own.write_text(to_json(output_json), encoding="utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Decide: the verdict is the exit code unless the suite itself went wrong.

    The decision comes before ``--junit-xml`` is written, which tells of it too.
    """
    config = session.config
    if not config.option.collectonly and session.testscollected:
        comparison = config.stash[MIGRATION].conclude()
        config.stash[COMPARISON] = comparison
        if RECORD in config.stash:
            for name, value in suite_properties(comparison, config.stash[MIGRATION].folder):
                config.stash[RECORD](name, value)
    yield
    if COMPARISON in config.stash and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = EXIT_CODES[config.stash[COMPARISON].verdict.decision]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no empty folder behind ``--help`` and ``--collect-only``."""
    if MIGRATION in config.stash:
        folder = config.stash[MIGRATION].folder
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    if COMPARISON not in config.stash:
        return
    comparison = config.stash[COMPARISON]
    terminalreporter.section("migration")
    terminalreporter.write_line(terminal_summary(comparison, config.stash[MIGRATION].folder))
    write_step_summary(comparison)
