"""Families that transformers has a class for: built empty, filled tensor by tensor, never by code.

Each has two runtimes. ``huggingface`` pads batches and masks the padding. ``reference`` is what the
library's own examples do: one sequence at a time, no padding, no mask, attention written out; and
with the ids and the mean taken in plain Python. An audit compares the two, as it compares two
libraries where there are two.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from embedders.checkpoints import Checkpoint
from embedders.choices import Choices
from embedders.contract import Embedder
from embedders.errors import UnsupportedChoice, WeightsError
from embedders.families.adapter import Adapter, Outline, assemble, default_weights
from embedders.families.vocabulary import check_tokens
from embedders.files import read_json, stored_tensors
from embedders.placement import choose_placement
from embedders.pooling import mean_over_residues
from embedders.runtimes import RUNTIMES
from embedders.runtimes.encoder import Placement, count_parameters, fill
from embedders.tensors import CheckedTensors, drawn
from embedders.weights import find_weights

REFERENCE = "reference"
_EAGER = "eager"

Encode = Callable[[Sequence[str]], tuple[torch.Tensor, torch.Tensor]]
"""Sequences to padded token ids, int64 ``(n, tokens)``, and residues of each, int64 ``(n,)``."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """How residues become token ids: one token each, between what goes before and behind.

    ``ids`` has every residue that the cleaning policy keeps, ``stored`` what the tokenizer's own
    file must say.
    """

    ids: Mapping[str, int]
    stored: Mapping[str, int]
    before: tuple[int, ...]
    behind: tuple[int, ...]
    padding: int
    encode: Encode

    def alone(self, residues: str) -> list[int]:
        """Return the ids of one sequence, by the table itself."""
        return [*self.before, *(self.ids[residue] for residue in residues), *self.behind]


@dataclass(frozen=True, slots=True)
class PaddedEncoder:
    """Batches padded to their longest; satisfies ``Encoder``."""

    model: nn.Module
    tokens: Tokens
    width: int
    parameters: int
    device: torch.device
    attention: str

    def pooled(self, sequences: Sequence[str], window_residues: int) -> torch.Tensor:
        """Run one batch; see :class:`embedders.runtimes.encoder.Encoder`."""
        tokens, lengths = self.tokens.encode(sequences)
        padded = bool((lengths != lengths[0]).any())
        tokens = tokens.to(self.device)
        # without padding no mask is needed, and attention may take its fastest path
        mask = (tokens != self.tokens.padding).long() if padded else None
        hidden = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        first = len(self.tokens.before)
        return mean_over_residues(hidden, lengths, window_residues, first=first)


@dataclass(frozen=True, slots=True)
class AloneEncoder(PaddedEncoder):
    """One sequence at a time: nothing is padded, masked or shared; slow, and easy to be sure of."""

    def pooled(self, sequences: Sequence[str], window_residues: int) -> torch.Tensor:
        """Run one sequence after the other."""
        rows = []
        for residues in sequences:
            ids = torch.tensor([self.tokens.alone(residues)], device=self.device)
            hidden = self.model(input_ids=ids).last_hidden_state[0]
            first = len(self.tokens.before)
            inside = hidden[first : first + min(len(residues), window_residues)]
            rows.append(inside.double().mean(dim=0).float())
        return torch.stack(rows)


class NativeAdapter(Adapter):
    """Loads checkpoints of one such family; the methods below say what is peculiar to it."""

    tokens: Tokens
    description: Mapping[str, object]
    """What ``config.json`` must say of every checkpoint of the family, wherever it says anything.
    Keys of it that are left out mean just that."""

    @abstractmethod
    def shapes(self, row: Checkpoint, layers: int | None) -> dict[str, tuple[int, ...]]:
        """Return name and shape of every learnt tensor, as transformers' class names them."""

    @abstractmethod
    def sizes(self, row: Checkpoint) -> dict[str, object]:
        """Return what ``config.json`` must say of this checkpoint."""

    @abstractmethod
    def canonical_name(self, stored: str) -> str | None:
        """Return a stored tensor's name in transformers' class; None if it is not needed."""

    @abstractmethod
    def empty_model(self, row: Checkpoint, layers: int | None, attention: str | None) -> nn.Module:
        """Build transformers' model on the meta device; ``None`` is the best attention it has.

        Raises
        ------
        UnsupportedChoice
            If the installed transformers has no such model, or the model no such attention.
        """

    def settle(self, model: nn.Module, placement: Placement) -> None:
        """Make whatever a filled model needs beside its tensors."""

    def build(self, row: Checkpoint, choices: Choices) -> Embedder:
        """Load a checkpoint; see :meth:`Adapter.build`."""
        choices.refuse(row.name, "remote_code")
        how = RUNTIMES["huggingface"]
        alone = choices.runtime == REFERENCE
        if alone and choices.attention not in (None, _EAGER):
            raise UnsupportedChoice(
                f"runtime {REFERENCE!r} writes attention out, which is no choice of "
                f"{choices.attention!r}; leave attention out"
            )
        wanted = _EAGER if alone else choices.attention
        placement = choose_placement(how, choices.device, choices.dtype or "float32", wanted)
        tensors = self.tensors(
            row,
            default_weights(row, choices),
            device=placement.device,
            layers=choices.layers,
            revision=choices.revision,
        )
        model = self.empty_model(row, choices.layers, wanted)
        parameters = count_parameters(model)
        fill(model, tensors, placement, rename=str)
        self.settle(model, placement)
        model.eval()
        kind = AloneEncoder if alone else PaddedEncoder
        return assemble(
            row,
            choices,
            kind(
                model=model,
                tokens=self.tokens,
                width=_width(model),
                parameters=parameters,
                device=placement.device,
                attention=attention_of(model),
            ),
            runtime=choices.runtime,
            placement=placement,
            identity=tensors.identity(),
            distributions=how.distributions,
            pads=not alone,
        )

    def outline(self, row: Checkpoint, runtime: str) -> Outline:
        """Build the full-size model on the meta device and read width and parameters off it."""
        model = self.empty_model(row, None, None)
        return Outline(row.name, runtime, _width(model), count_parameters(model))

    def parameters(self, row: Checkpoint, layers: int | None) -> int:
        """Add up the shapes of an encoder's tensors."""
        return sum(math.prod(shape) for shape in self.shapes(row, layers).values())

    def tensors(
        self,
        row: Checkpoint,
        weights: str,
        *,
        device: torch.device,
        layers: int | None = None,
        revision: str | None = None,
    ) -> CheckedTensors:
        """Open weights without building a model."""
        found = find_weights(row, weights, layers=layers, revision=revision)
        shapes = self.shapes(row, layers)
        if found.folder is None:
            entries = drawn(shapes, found.seed or 0, device)
        else:
            self.examine(row, found.folder)
            entries = self._needed(stored_tensors(found.folder))
        return CheckedTensors(
            model=f"{row.name} of {layers or row.layers} layers and width {row.width}",
            shapes=shapes,
            source=found.source,
            entries=iter(entries),
            revision=found.revision,
            seed=found.seed,
        )

    def examine(self, row: Checkpoint, folder: Path) -> None:
        """Hold ``config.json`` and a tokenizer, if there is one, against the row."""
        path = folder / "config.json"
        config = read_json(path)
        wanted = self.sizes(row)
        came = {key: config.get(key, value) for key, value in self.description.items()}
        came |= {key: config.get(key) for key in wanted}
        differences = [
            f"{key} is {came[key]!r}, not {value!r}"
            for key, value in {**wanted, **self.description}.items()
            if came[key] != value
        ]
        if differences:
            raise WeightsError(f"{path} does not describe {row.name}: {'; '.join(differences)}")
        check_tokens(folder, self.tokens.stored, row.name)

    def _needed(
        self, stored: Iterable[tuple[str, torch.Tensor]]
    ) -> Iterator[tuple[str, torch.Tensor]]:
        for name, tensor in stored:
            canonical = self.canonical_name(name)
            if canonical is not None:
                yield canonical, tensor


def attention_of(model: nn.Module) -> str:
    """Return the implementation of attention that transformers took."""
    return str(getattr(model.config, "_attn_implementation", _EAGER))


def _width(model: nn.Module) -> int:
    embedding = model.get_input_embeddings()  # type: ignore[operator]  # transformers' own method
    return int(embedding.weight.shape[1])
