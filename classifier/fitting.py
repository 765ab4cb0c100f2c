"""The training loop, left to skorch; nothing else here knows skorch."""

from __future__ import annotations

import math
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from torch import nn
from tqdm import tqdm

from classifier.blocks import CHUNK_ROWS, LabelledRows
from classifier.errors import ClassifierError
from classifier.feeding import Feed, Prepare, fits
from classifier.recipes import Epoch, Recipe


def fit(
    model: nn.Module,
    training: LabelledRows,
    validation: LabelledRows,
    *,
    recipe: Recipe,
    device: str,
    progress: bool,
    prepare: Prepare | None = None,
) -> tuple[tuple[Epoch, ...], int]:
    """Fit the model in place; return the history and the best epoch, counted from 1.

    Rows that fit in one pool are mixed by torch's own loader, as they always were; others, and rows
    that have to be prepared, by a :class:`classifier.feeding.Feed`.
    """
    batches = math.ceil(len(training) / recipe.batch_size)
    # a last batch of one row would stop BatchNorm; another row is left out each epoch
    lone_row = len(training) % recipe.batch_size == 1
    stopping = EarlyStopping(
        monitor="valid_loss",
        patience=recipe.patience,
        threshold=0.0,
        load_best=True,
        sink=_say_nothing,
    )
    callbacks = [
        ("schedule", _schedule(recipe, batches - lone_row)),
        ("stopping", stopping),
        ("forgetting", _Forgetting()),
    ]
    if progress:
        callbacks.append(("bar", _Bar(batches - lone_row, recipe.max_epochs)))
    if prepare is None and fits(training.blocks, len(training)):
        training = training.in_memory()
        loaders: dict[str, object] = {
            "iterator_train__collate_fn": _as_is,
            "iterator_valid__collate_fn": _as_is,
        }
    else:
        loaders = {
            "iterator_train": Feed,
            "iterator_train__prepare": prepare,
            "iterator_valid": Feed,
            "iterator_valid__prepare": prepare,
        }
    net = NeuralNet(
        module=model,
        criterion=nn.CrossEntropyLoss,
        train_split=predefined_split(validation),
        max_epochs=recipe.max_epochs,
        batch_size=recipe.batch_size,
        iterator_train__shuffle=True,
        iterator_train__drop_last=lone_row,
        iterator_valid__batch_size=CHUNK_ROWS,
        **loaders,
        callbacks=callbacks,
        callbacks__print_log=None,
        device=device,
        verbose=0,
        optimizer=torch.optim.SGD,
        optimizer__momentum=recipe.momentum,
        optimizer__weight_decay=recipe.weight_decay,
        lr=recipe.learning_rate,
    )
    net.fit(training, y=None)
    # skorch ends quietly on Ctrl-C; what was cut short must not pass for trained
    finished = [epoch for epoch in net.history if "valid_loss" in epoch]
    if len(finished) < recipe.max_epochs and stopping.misses_ < recipe.patience:
        raise KeyboardInterrupt
    history = tuple(Epoch(float(e["train_loss"]), float(e["valid_loss"])) for e in finished)
    best = int(stopping.best_epoch_)
    if best == 0 or not math.isfinite(history[best - 1].validation_loss):
        raise ClassifierError(
            f"training diverged: no finite validation loss in {len(history)} epochs; "
            f"lower the learning rate of recipe {recipe.name!r} or look at the features' range"
        )
    return history, best


def _schedule(recipe: Recipe, batches: int) -> Any:  # noqa: ANN401  skorch carries no types
    if recipe.schedule == "step":
        return LRScheduler(
            policy=torch.optim.lr_scheduler.StepLR,
            step_size=recipe.step_epochs,
            gamma=recipe.gamma,
        )
    return LRScheduler(
        policy=torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        max_lr=recipe.learning_rate,
        total_steps=batches * recipe.max_epochs + 1,
    )


class _Forgetting(Callback):  # type: ignore[misc]
    """Drop an epoch's notes of its single batches: of millions they would fill the memory."""

    def on_epoch_end(self, net: Any, **_: Any) -> None:  # noqa: ANN401
        """Keep the epoch's own figures, which have been made of them by now."""
        net.history[-1]["batches"].clear()


class _Bar(Callback):  # type: ignore[misc]
    """Count the batches of all epochs on one line; skorch's own bar starts anew every epoch."""

    def __init__(self, batches: int, epochs: int) -> None:
        self.batches = batches
        self.epochs = epochs

    def on_train_begin(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Open the bar."""
        self.bar_ = tqdm(
            total=self.batches * self.epochs, desc="training", unit=" batch", leave=False
        )

    def on_batch_end(self, *_: Any, training: bool = False, **__: Any) -> None:  # noqa: ANN401
        """Go on by one batch."""
        if training:
            self.bar_.update()

    def on_epoch_end(self, net: Any, **_: Any) -> None:  # noqa: ANN401
        """Show the validation loss."""
        self.bar_.set_postfix_str(f"validation loss {net.history[-1, 'valid_loss']:.4f}")

    def on_train_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Close the bar."""
        self.bar_.close()


def _as_is(batch: Any) -> Any:  # noqa: ANN401
    """Pass a batch on: the rows come as one tensor already."""
    return batch


def _say_nothing(_: str) -> None:
    """Take skorch's messages; the caller reads them from the history."""
