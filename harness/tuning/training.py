"""Fine-tuning: proteins, labels and groups in, an encoder with learnt adapters out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from classifier import Epoch
from classifier.devices import cpu_threads, own_randomness
from classifier.holdout import held_out
from classifier.training import DEFAULT_VALIDATION_FRACTION
from embedders.placement import choose_device
from harness.progress import bar
from harness.provenance import library_version
from harness.tuning.batches import epoch_batches
from harness.tuning.errors import TuningError
from harness.tuning.proteins import Proteins
from harness.tuning.recipe import TuningRecipe
from harness.tuning.state import Plan, State, read_state, write_state
from harness.tuning.tuned import Start, Tuned

GRADIENT_NORM = 1.0
"""The gradient of a step is shortened to this length where it is longer."""

Tensors = dict[str, torch.Tensor]


def tune(
    proteins: Proteins,
    start: Start,
    recipe: TuningRecipe,
    *,
    seed: int,
    state: Path | None = None,
    progress: bool = False,
) -> Tuned:
    """Fine-tune an encoder on every protein given, stopping early on some of their groups.

    A test set belongs outside ``proteins``: what is not there cannot leak in. The same arguments
    give the same bits on the same CPU and, with one thread, on any number of cores. Global random
    state is left as it was. No class weights.

    Parameters
    ----------
    proteins
        To learn from and to watch by; groups to watch by are cut from them, as
        :func:`classifier.train` does with the same seed.
    start
        Encoder, device and threads.
    recipe
        How.
    seed
        At least 0; decides the adapters' first values, dropout, batches and the watching groups.
    state
        A file that is written after every epoch. Where it is there, the training that it is of
        goes on, and ends with the bits that it would have had without the break.
    progress
        Show a bar that counts steps.

    Raises
    ------
    TuningError
        If peft is missing, the state is of another training or damaged, or the loss is not finite.
    ClassifierError
        If there are too few groups to watch by (``TooFewGroups``).
    InputError
        If the encoder cannot be loaded or is no ESM-2.
    """
    out = held_out(
        proteins.labels,
        np.asarray(proteins.groups, dtype=np.str_),
        fraction=DEFAULT_VALIDATION_FRACTION,
        seed=seed,
    )
    fitted, watched = proteins.take(np.flatnonzero(~out)), proteins.take(np.flatnonzero(out))
    with cpu_threads(start.threads):
        opened = start.open(recipe.dtype)
        plan = plan_of(proteins, start, recipe, seed=seed, weights=opened.identity.sha256)
        with own_randomness(_epoch_seed(seed, 0), opened.encoder.device):
            tuned = Tuned(opened, start.row, recipe)
        course = _Course(tuned, fitted, watched, seed, None if state is None else (state, plan))
        course.run(progress=progress)
    return tuned


def plan_of(
    proteins: Proteins, start: Start, recipe: TuningRecipe, *, seed: int, weights: str
) -> Plan:
    """Return what the bits of a training follow from; ``weights`` is the SHA-256 of the encoder's.

    Examples
    --------
    >>> from embedders import checkpoint
    >>> one = Proteins(("MK",), np.zeros(1, dtype=np.int64), ("a",))
    >>> start = Start(checkpoint("esm2-8m"), device="cpu")
    >>> plan = plan_of(one, start, TuningRecipe(), seed=3, weights="0f")
    >>> plan["embedder"], plan["seed"], plan["device"]
    ('esm2-8m', 3, 'cpu')
    """
    libraries = ("torch", "transformers", "peft")
    return {
        "embedder": start.row.name,
        "weights": weights,
        "recipe": asdict(recipe),
        "seed": seed,
        "proteins": proteins.digest(),
        "device": choose_device(start.device).type,
        "threads": start.threads,
        "libraries": {name: library_version(name) for name in libraries},
    }


class _Course:
    """One training from its first epoch, or from where it was broken off, to its end."""

    def __init__(
        self,
        tuned: Tuned,
        fitted: Proteins,
        watched: Proteins,
        seed: int,
        kept: tuple[Path, Plan] | None,
    ) -> None:
        self._tuned = tuned
        self._recipe = tuned.recipe
        self._fitted = fitted
        self._watched = watched
        self._seed = seed
        self._kept = kept
        self._learnt = tuned.learnt()
        self._optimiser = torch.optim.AdamW(
            self._learnt.values(),
            lr=tuned.recipe.learning_rate,
            weight_decay=tuned.recipe.weight_decay,
        )
        self._best: Tensors = {}

    def run(self, *, progress: bool) -> None:
        """Train to the end and leave the best epoch's weights in place."""
        self._begin()
        steps = self._steps_of_an_epoch()
        with bar(steps * self._recipe.max_epochs, "step", shown=progress) as shown:
            shown.update(steps * (len(self._tuned.history) - 1))
            while not self._over():
                self._epoch(shown.update)
                last = self._tuned.history[-1]
                shown.set_postfix_str(f"validation loss {last.validation_loss:.4f}")
        _put(self._values(), self._best)

    def _begin(self) -> None:
        """Take the state that was kept, or look at the encoder as it is."""
        stored = None if self._kept is None else read_state(*self._kept)
        if stored is not None:
            self._restore(stored)
            return
        vectors = self._tuned.vectors(self._fitted.residues)
        truth = torch.tensor(self._fitted.labels, dtype=torch.float32)
        self._tuned.head.fit_first(vectors, truth, self._recipe.probe_penalty)
        with torch.no_grad():
            logits = self._tuned.head(vectors.to(self._tuned.encoder.device)).cpu()
        self._conclude(self._loss(logits, self._fitted))

    def _over(self) -> bool:
        epochs = len(self._tuned.history) - 1
        waited = epochs - self._tuned.best_epoch
        return epochs >= self._recipe.max_epochs or waited >= self._recipe.patience

    def _epoch(self, tick: Callable[[], object]) -> None:
        epoch = len(self._tuned.history)
        rng = np.random.default_rng((self._seed, epoch))
        window = self._recipe.max_residues
        lengths = [min(len(each), window) for each in self._fitted.residues]
        batches = epoch_batches(lengths, self._recipe.batch_rows, rng)
        steps = len(batches) * self._recipe.max_epochs
        total = 0.0
        # seeded anew in each epoch: then no state of a generator has to be kept
        with own_randomness(_epoch_seed(self._seed, epoch), self._tuned.encoder.device):
            self._tuned.encoder.model.train()
            for number, rows in enumerate(batches):
                rate = self._recipe.rate((epoch - 1) * len(batches) + number, steps)
                for group in self._optimiser.param_groups:
                    group["lr"] = rate
                self._optimiser.zero_grad(set_to_none=True)
                total += self._tuned.add_gradient(self._fitted.take(np.array(rows)))
                torch.nn.utils.clip_grad_norm_(self._learnt.values(), GRADIENT_NORM)
                self._optimiser.step()
                tick()
        self._conclude(total / len(self._fitted))

    def _conclude(self, train_loss: float) -> None:
        """Judge an epoch by the watching groups, and keep the state after it."""
        loss = self._loss(self._tuned.logits(self._watched.residues), self._watched)
        epoch = len(self._tuned.history)
        if not (math.isfinite(loss) and math.isfinite(train_loss)):
            raise TuningError(
                f"fine-tuning diverged in epoch {epoch}: the loss is not finite; lower the "
                "learning rate, or train in float32"
            )
        self._tuned.history += (Epoch(train_loss, loss),)
        if loss < self._tuned.history[self._tuned.best_epoch].validation_loss or not self._best:
            self._tuned.best_epoch = epoch
            self._best = {name: value.clone() for name, value in self._values().items()}
        if self._kept is not None:
            write_state(*self._kept, self._state())

    def _loss(self, logits: torch.Tensor, rows: Proteins) -> float:
        truth = torch.tensor(rows.labels, dtype=torch.float64)
        return float(F.binary_cross_entropy_with_logits(logits.double(), truth))

    def _steps_of_an_epoch(self) -> int:
        return math.ceil(len(self._fitted) / self._recipe.batch_rows)

    def _values(self) -> Tensors:
        """Everything that differs from the encoder as it was: what is learnt, and the head."""
        head = {f"head.{name}": value for name, value in self._tuned.head.state_dict().items()}
        return {**{name: value.data for name, value in self._learnt.items()}, **head}

    def _state(self) -> State:
        tensors = {f"now.{name}": value for name, value in self._values().items()}
        tensors |= {f"best.{name}": value for name, value in self._best.items()}
        for index, moments in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": value for key, value in moments.items()}
        return State(tensors, self._tuned.history, self._tuned.best_epoch)

    def _restore(self, state: State) -> None:
        self._tuned.history, self._tuned.best_epoch = state.history, state.best_epoch
        values = self._values()
        _put(values, _under("now", state.tensors))
        self._best = {name: value.clone() for name, value in values.items()}
        _put(self._best, _under("best", state.tensors))
        moments: dict[int, Tensors] = {}
        for name, value in _under("optimiser", state.tensors).items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = value
        described = self._optimiser.state_dict()
        self._optimiser.load_state_dict({**described, "state": moments})


def _under(prefix: str, tensors: Tensors) -> Tensors:
    start = f"{prefix}."
    return {name[len(start) :]: each for name, each in tensors.items() if name.startswith(start)}


def _put(places: Tensors, values: Tensors) -> None:
    """Copy values into tensors of the same names."""
    with torch.no_grad():
        for name, place in places.items():
            place.copy_(values[name])


def _epoch_seed(seed: int, epoch: int) -> int:
    """Return a seed of its own for each epoch, from numpy's documented mixing of the two."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
