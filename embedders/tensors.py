"""A model's tensors one by one: each held against its shape, all of them identified.

Nothing here builds a model. Who does takes the tensors as they come, so that 3 B parameters are
never twice in memory.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch

from embedders.contract import WeightsIdentity
from embedders.errors import WeightsError

_INITIAL_STD = 0.02


@dataclass(frozen=True, slots=True)
class Formula:
    """A tensor that could be computed, and how a message calls it and its formula."""

    tensor: torch.Tensor
    called: str
    written: str


@dataclass(slots=True, kw_only=True)
class CheckedTensors:
    """Tensors of one model, read once, and their identity afterwards.

    Iterating yields ``(name, tensor)``: every name of ``shapes`` and of ``formulas``, each exactly
    once, in no promised order. A tensor may be a view of a mapped file: copy what is kept. Those
    of ``formulas`` may come once, in several equal copies, or not at all. ``model`` is what a
    message calls the model, ``source`` where the weights are from; ``seed`` is that of weights
    that are drawn.
    """

    model: str
    shapes: Mapping[str, tuple[int, ...]]
    source: str
    entries: Iterator[tuple[str, torch.Tensor]]
    formulas: Mapping[str, Formula] = field(default_factory=dict)
    revision: str | None = None
    seed: int | None = None
    _digests: dict[str, bytes] = field(default_factory=dict)
    _finished: bool = False

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield each tensor once.

        Raises
        ------
        WeightsError
            If tensors are missing, unexpected, repeated or of another shape; all are listed.
        """
        faults: list[str] = []
        for name, tensor in self.entries:
            fault = self._fault(name, tensor)
            if fault:
                faults.append(fault)
            elif name not in self._digests:
                self._digests[name] = self._fingerprint(name, tensor)
                yield name, tensor
        for name, formula in self.formulas.items():
            if name not in self._digests:
                self._digests[name] = self._fingerprint(name, formula.tensor)
                yield name, formula.tensor
        faults += [f"missing {name}" for name in self.shapes if name not in self._digests]
        if faults:
            raise WeightsError(
                f"weights from {self.source} do not fit {self.model}: "
                f"{'; '.join(dict.fromkeys(faults))}"
            )
        self._finished = True

    def identity(self) -> WeightsIdentity:
        """Which weights these were: SHA-256 over names, shapes, dtypes and bytes of all tensors.

        It does not depend on the file format or on the runtime that read them. Random weights
        are told apart by seed, names, shapes and kind of device: the bytes follow from these.

        Raises
        ------
        WeightsError
            If the stream was not read to its end.
        """
        if not self._finished:
            raise WeightsError("weights are identified only once they are read to the end")
        whole = hashlib.sha256()
        for name in sorted(self._digests):
            whole.update(name.encode())
            whole.update(self._digests[name])
        return WeightsIdentity(
            source=self.source,
            sha256=whole.hexdigest(),
            revision=self.revision,
            seed=self.seed,
        )

    def _fault(self, name: str, tensor: torch.Tensor) -> str:
        formula = self.formulas.get(name)
        if formula is None and name not in self.shapes:
            return f"unexpected {name}"
        shape = self.shapes[name] if formula is None else tuple(formula.tensor.shape)
        if tuple(tensor.shape) != shape:
            return f"{name} is {tuple(tensor.shape)}, not {shape}"
        if formula is None:
            return f"{name} comes twice" if name in self._digests else ""
        if name in self._digests:
            # older files hold one copy per layer; the model has one for all
            same = self._fingerprint(name, tensor) == self._digests[name]
            return "" if same else f"{formula.called} differ between layers"
        if not _close(tensor, formula.tensor):
            return f"{formula.called} do not follow {formula.written}"
        return ""

    def _fingerprint(self, name: str, tensor: torch.Tensor) -> bytes:
        if self.seed is None:
            whole = tensor.detach().contiguous()
            digest = hashlib.sha256(f"{whole.dtype}{tuple(whole.shape)}".encode())
            digest.update(whole.reshape(-1).view(torch.uint8).numpy().data)
        else:
            drawn = f"{self.seed}:{tensor.device.type}:{name}:{tuple(tensor.shape)}"
            digest = hashlib.sha256(drawn.encode())
        return digest.digest()


def drawn(
    shapes: Mapping[str, tuple[int, ...]], seed: int, device: torch.device
) -> Iterator[tuple[str, torch.Tensor]]:
    """Draw tensors as an untrained model has them.

    Matrices are normal with standard deviation 0.02 (BERT's initial value), biases 0, norms 1.
    Each tensor is seeded by its own name, so the values depend neither on the order nor on the
    runtime, only on the seed and on whether the device is a CPU or a GPU.
    """
    return ((name, _draw(name, shape, seed, device)) for name, shape in shapes.items())


def _draw(name: str, shape: tuple[int, ...], seed: int, device: torch.device) -> torch.Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape, device=device)
    if len(shape) == 1:
        return torch.ones(shape, device=device)
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.randn(shape, generator=generator, device=device) * _INITIAL_STD


def _close(stored: torch.Tensor, exact: torch.Tensor) -> bool:
    # a file may hold them rounded as far as to bfloat16: 8 bits, an error of 2^-9 at most
    return bool(torch.allclose(stored.float(), exact, rtol=math.ldexp(1, -9), atol=6e-8))
