"""Say what the bundled small models are worth on the bundled proteins.

    python -m scripts.evaluate_mini

Viral or not, by logistic regression on standardised mean embeddings (first 1,024 residues), in
five-fold cross-validation stratified by label and grouped by organism. Beside the two small models:
the same architectures with random weights, the amino-acid composition, and ESM2-8M.
"""

import argparse
import csv
import hashlib
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import EsmModel

from scripts.mini_models import ARCHITECTURES, build, mean_embeddings
from scripts.sources import sha256_of
from scripts.teacher import demo_sequences, load_teacher

FOLDS = 5
SPLIT_SEEDS = tuple(range(5))
RANDOM_WEIGHT_SEEDS = (0, 1)
INVERSE_PENALTY = 0.1
RESIDUES = 1024
STANDARD = "ACDEFGHIKLMNPQRSTVWY"

Features = NDArray[np.float32]


def composition(sequences: list[str]) -> Features:
    """Return float32 `(n, 20)`: the share of each standard residue in the first 1,024."""
    rows = [sequence[:RESIDUES] for sequence in sequences]
    return np.array(
        [[row.count(residue) / len(row) for residue in STANDARD] for row in rows],
        dtype=np.float32,
    )


def embed(encoder: torch.nn.Module, sequences: list[str]) -> Features:
    """Return float32 `(n, width)` mean embeddings of an encoder, computed in float32."""
    found: Features = mean_embeddings(encoder.eval(), sequences, RESIDUES).numpy()
    return found


def scores(
    features: Features, is_viral: NDArray[np.bool_], groups: NDArray[np.str_]
) -> list[dict[str, float]]:
    """Return accuracy and AUC per split seed, each over all out-of-fold predictions at once."""
    rows = []
    for seed in SPLIT_SEEDS:
        chances = np.empty(len(is_viral))
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        for learnt, tested in folds.split(features, is_viral, groups):
            model = make_pipeline(
                StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=2000)
            )
            model.fit(features[learnt], is_viral[learnt])
            chances[tested] = model.predict_proba(features[tested])[:, 1]
        rows.append(
            {
                "accuracy": float(np.mean((chances >= 0.5) == is_viral)),
                "auc": float(roc_auc_score(is_viral, chances)),
            }
        )
    return rows


def summary(width: int, rows: list[dict[str, float]]) -> dict[str, Any]:
    """Return mean and standard deviation over the rows, rounded to four places."""
    found: dict[str, Any] = {"width": width, "runs": len(rows)}
    for name in ("accuracy", "auc"):
        values = np.array([row[name] for row in rows])
        found[name] = {
            "mean": round(float(values.mean()), 4),
            "sd": round(float(values.std(ddof=1)), 4),
        }
    return found


def file_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file of a model folder."""
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
    }


def main() -> None:
    """Evaluate everything and write the JSON file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minis", type=Path, default=Path("embedders/mini"))
    parser.add_argument("--data", type=Path, default=Path("benchmarks/data"))
    parser.add_argument("-o", "--output", type=Path, help="JSON file [MINIS/evaluation.json]")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="evaluate these, keep the rest of the JSON file"
    )
    parser.add_argument("--cache", type=Path, help="folder of fetched packages")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads [%(default)s]")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    minis: Path = arguments.minis
    data: Path = arguments.data

    with (data / "proteins.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    letters = demo_sequences(data / "proteins.faa.gz")
    sequences = [letters[row["id"]] for row in table]
    is_viral = np.array([row["label"] == "viral" for row in table])
    groups = np.array([row["group"] for row in table])

    contenders: dict[str, list[Callable[[], Features]]] = {
        "composition": [lambda: composition(sequences)],
        "esm2-8m": [lambda: embed(load_teacher(arguments.cache), sequences)],
    }
    for name, architecture in ARCHITECTURES.items():
        contenders[f"{name}, random weights"] = [
            lambda a=architecture, s=seed: embed(build(a, s).get_submodule("esm"), sequences)  # type: ignore[misc]
            for seed in RANDOM_WEIGHT_SEEDS
        ]
        if (minis / name).is_dir():
            contenders[name] = [
                lambda n=name: embed(  # type: ignore[misc]
                    EsmModel.from_pretrained(minis / n, add_pooling_layer=False).float(), sequences
                )
            ]

    output: Path = arguments.output or minis / "evaluation.json"
    only: list[str] = arguments.only or list(contenders)
    if unknown := sorted(set(only) - set(contenders)):
        parser.error(f"no {', '.join(unknown)}; there are {', '.join(contenders)}")
    results: dict[str, Any] = {}
    if arguments.only and output.is_file():
        results = json.loads(output.read_text(encoding="utf-8"))["results"]
    for name in only:
        makers = contenders[name]
        started = time.perf_counter()
        rows, width = [], 0
        for make in makers:
            features = make()
            width = features.shape[1]
            rows += scores(features, is_viral, groups)
        results[name] = summary(width, rows)
        print(name, results[name], f"{time.perf_counter() - started:.1f} s", flush=True)

    found = {
        "task": "viral or host, logistic regression on standardised mean embeddings",
        "folds": FOLDS,
        "split_seeds": list(SPLIT_SEEDS),
        "random_weight_seeds": list(RANDOM_WEIGHT_SEEDS),
        "inverse_penalty": INVERSE_PENALTY,
        "residues": RESIDUES,
        "data": {
            "proteins": len(table),
            "viral": int(is_viral.sum()),
            "groups": len(set(groups.tolist())),
            "ids_sha256": hashlib.sha256("\n".join(sorted(letters)).encode()).hexdigest(),
            "fasta_sha256": sha256_of(data / "proteins.faa.gz"),
            "table_sha256": sha256_of(data / "proteins.csv"),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scikit-learn", "torch", "transformers")},
        },
        "results": {name: results[name] for name in contenders if name in results},
        "files": {
            name: file_facts(minis / name) for name in ARCHITECTURES if (minis / name).is_dir()
        },
    }
    text = json.dumps(found, indent=2, allow_nan=False) + "\n"
    output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
