"""Measure the classifier on many rows: memory, speed, growth, and the original pipeline's way.

    python -m scripts.measure_classifier -o results/classifier-at-scale
    python -m scripts.measure_classifier -o trial --rows 2000,8000 --finish-rows 4000

Made-up features (``scripts/synthetic_features.py``) are written, merged, trained on and scored by
the commands themselves, each in a process of its own, whose peak memory is then its own. Then both
ways are timed in turn in one process on the largest size, and trained to their own end on
``--finish-rows`` rows, seed by seed. Everything made is removed, but for the figures.

Takes disk for twice the largest number of rows (14 GB for a million), memory for all of them at
once, since the original's way keeps them there, and some 12 to 20 minutes on two cores.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

import classifier
from harness import features, provenance, report
from harness.arguments import numbers
from harness.files import fresh_folder, write_text_atomically
from harness.progress import announced
from harness.results import to_json
from scripts.classifier_arms import RECIPE, Figures
from scripts.synthetic_features import write_sides

SCHEMA = "embedder-migration/classifier-at-scale/1"
CLASSES = ("host", "viral")


def main() -> int:
    """Measure, write ``figures.json`` and ``figures.txt``, and print the table."""
    options = _options()
    started = datetime.now(UTC)
    out = fresh_folder(options.output)
    found: Figures = {
        "schema": SCHEMA,
        "recipe": asdict(classifier.recipe_named(RECIPE)),
        "threads": torch.get_num_threads(),
    }
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        for name, step in announced(_steps(options, Path(place))):
            found[name] = step()
    line = shlex.join(["python", "-m", "scripts.measure_classifier", *sys.argv[1:]])
    found["provenance"] = asdict(provenance.collect(line, (), started))
    table = _table(found)
    write_text_atomically(out / "figures.json", to_json(found))
    write_text_atomically(out / "figures.txt", f"{table}\n")
    print(table)
    return 0


def _steps(options: argparse.Namespace, place: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    sizes = sorted(options.rows)
    for rows in sizes:
        yield f"{rows} rows", partial(_size, place / str(rows), rows)
    yield "in turn", lambda: _child("contest", *_merged(place / str(sizes[-1])))
    yield "to the end", partial(_finish, place, options)


def _size(folder: Path, rows: int) -> Figures:
    """Make so many rows, then merge, train and predict by the commands, and time training."""
    _make(folder, rows, seed=1)
    merges = [
        _child(
            "command", "merge", *_sides(folder / each), "-o", _path(folder, each), "--label", each
        )
        for each in CLASSES
    ]
    for each in CLASSES:
        for side in _sides(folder / each):
            shutil.rmtree(side)
    merged, model = _merged(folder), str(folder / "model")
    scored = ("-o", str(folder / "scores.csv"), "--threads", str(torch.get_num_threads()))
    return {
        "rows": rows,
        "merge": {
            "seconds": sum(each["seconds"] for each in merges),
            "peak_rss_bytes": max(each["peak_rss_bytes"] for each in merges),
        },
        "train": _child("command", "train", *merged, "-o", model, "--recipe", RECIPE),
        "predict": _child("command", "predict", model, *merged, *scored),
        "training": _child("rate", *merged),
    }


def _finish(place: Path, options: argparse.Namespace) -> list[Figures]:
    """Train both ways until each ends by its own rule, and score both on rows of neither."""
    folders: list[str] = []
    for name, rows, seed in (("finish", options.finish_rows, 1), ("test", options.test_rows, 2)):
        _make(place / name, rows, seed=seed)
        for each in CLASSES:
            dna, protein = map(Path, _sides(place / name / each))
            label = features.CLASSES[each]
            features.merge(dna, protein, Path(_path(place / name, each)), label=label)
        folders += _merged(place / name)
    return [_child("finish", str(seed), *folders) for seed in range(options.seeds)]


def _make(folder: Path, rows: int, *, seed: int) -> None:
    with ProcessPoolExecutor(len(CLASSES), mp_context=get_context("spawn")) as processes:
        made = [
            processes.submit(
                write_sides,
                folder / each,
                rows=rows // len(CLASSES),
                label=features.CLASSES[each],
                seed=seed,
                name=each,
            )
            for each in CLASSES
        ]
        for one in made:
            one.result()


def _sides(folder: Path) -> tuple[str, str]:
    return str(folder / "dna"), str(folder / "protein")


def _path(folder: Path, each: str) -> str:
    return str(folder / each / "merged")


def _merged(folder: Path) -> tuple[str, ...]:
    return tuple(_path(folder, each) for each in CLASSES)


def _child(what: str, *arguments: str) -> Figures:
    run = [sys.executable, "-m", "scripts.classifier_arms", what, *arguments]
    done = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def _table(found: Figures) -> str:
    sizes = [each for name, each in found.items() if name.endswith(" rows")]
    lines: list[tuple[str, ...]] = []
    for size in sizes:
        rows = f"{size['rows']:,} rows"
        for step in ("merge", "train", "predict"):
            figures = size[step]
            peak = figures["peak_rss_bytes"] / 1e6
            lines.append((f"harness {step}, {rows}", f"{figures['seconds']:.1f} s, {peak:,.0f} MB"))
        each = size["training"]["microseconds_per_row_epoch"]
        lines.append((f"training, {rows}", f"{each:.2f} us for a row and epoch"))
    first, last = (size["training"]["microseconds_per_row_epoch"] for size in (sizes[0], sizes[-1]))
    lines.append(("growth, largest to smallest size", f"{last / first:.3f}"))
    turn = found["in turn"]
    lines += [(name, f"{each:,.0f} rows/s") for name, each in turn["rows_per_s"].items()]
    lines += [
        (f"ratio, {what}", f"{each['ratio']:.2f} [{each['lower']:.2f}, {each['upper']:.2f}]")
        for what, each in turn["ratios"].items()
    ]
    loaded = turn["rss_with_whole_files_bytes"] / 1e6
    lines.append(("original, memory with all files", f"{loaded:,.0f} MB"))
    for ended in found["to the end"]:
        for way in ("ours", "original"):
            of = ended[way]
            said = f"{of['seconds']:.1f} s, {of['epochs']} epochs, accuracy {of['accuracy']:.4f}"
            lines.append((f"{way} to its end, seed {ended['seed']}", said))
    return report.plain_table(lines, ("what", "figure"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    parser.add_argument(
        "--rows", type=numbers, default=[10_000, 100_000, 1_000_000], metavar="N,N,…"
    )
    parser.add_argument("--finish-rows", type=int, default=20_000, metavar="N")
    parser.add_argument("--test-rows", type=int, default=40_000, metavar="N")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; default: for temporary files")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
