"""A checkpoint's tensors one by one, from files or from a seed, with their identity.

Nothing here builds a model. A runtime builds an empty one and takes the tensors as they come, so
that 3 B parameters are never twice in memory.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from embedders import naming
from embedders.checkpoints import Architecture, Checkpoint
from embedders.contract import WeightsIdentity
from embedders.errors import UnsupportedChoice, WeightsError
from embedders.files import read_architecture, stored_tensors
from embedders.hub import download, folder_revision

_INITIAL_STD = 0.02
_MINI_FOLDER = Path(__file__).parent / "mini"


@dataclass(slots=True)
class TensorStream:
    """Canonical tensors of one encoder, read once, and their identity afterwards.

    Iterating yields ``(name, tensor)``: every name of
    :func:`embedders.naming.parameter_shapes` and the rotary frequencies, each exactly once, in
    no promised order. A tensor may be a view of a mapped file: copy what is kept.
    """

    architecture: Architecture
    source: str
    entries: Iterator[tuple[str, torch.Tensor]]
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
        shapes = naming.parameter_shapes(self.architecture)
        frequencies = naming.rotary_frequencies(self.architecture)
        shapes[naming.FREQUENCIES] = tuple(frequencies.shape)
        faults: list[str] = []
        for name, tensor in self.entries:
            if name == naming.FREQUENCIES and name in self._digests:
                # older files hold one copy per layer; the model has one for all
                if self._fingerprint(name, tensor) != self._digests[name]:
                    faults.append("rotary frequencies differ between layers")
            elif name not in shapes:
                faults.append(f"unexpected {name}")
            elif tuple(tensor.shape) != shapes[name]:
                faults.append(f"{name} is {tuple(tensor.shape)}, not {shapes[name]}")
            elif name in self._digests:
                faults.append(f"{name} comes twice")
            elif name == naming.FREQUENCIES and not _close(tensor, frequencies):
                faults.append("rotary frequencies do not follow 10000^(-2i/head width)")
            else:
                self._digests[name] = self._fingerprint(name, tensor)
                yield name, tensor
        if naming.FREQUENCIES not in self._digests:
            self._digests[naming.FREQUENCIES] = self._fingerprint(naming.FREQUENCIES, frequencies)
            yield naming.FREQUENCIES, frequencies
        faults += [f"missing {name}" for name in shapes if name not in self._digests]
        if faults:
            raise WeightsError(
                f"weights from {self.source} do not fit an ESM-2 of {self.architecture.layers} "
                f"layers and width {self.architecture.width}: {'; '.join(dict.fromkeys(faults))}"
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

    def _fingerprint(self, name: str, tensor: torch.Tensor) -> bytes:
        if self.seed is None:
            whole = tensor.detach().contiguous()
            digest = hashlib.sha256(f"{whole.dtype}{tuple(whole.shape)}".encode())
            digest.update(whole.reshape(-1).view(torch.uint8).numpy().data)
        else:
            drawn = f"{self.seed}:{tensor.device.type}:{name}:{tuple(tensor.shape)}"
            digest = hashlib.sha256(drawn.encode())
        return digest.digest()


def open_weights(
    checkpoint: Checkpoint,
    weights: str,
    *,
    device: torch.device,
    layers: int | None = None,
    revision: str | None = None,
) -> TensorStream:
    """Find a checkpoint's weights.

    Parameters
    ----------
    weights
        ``hub``, ``mini``, ``random``, ``random:SEED`` or the path of a folder laid out like the
        hub's.
    device
        Where random tensors are drawn; tensors from files come on the CPU.
    layers
        Another depth than the checkpoint's; random weights only.
    revision
        40-hex hub commit instead of the table's; hub only.

    Raises
    ------
    UnsupportedChoice
        If these choices do not go together.
    WeightsError
        If nothing usable is found.
    """
    kind, _, argument = weights.partition(":")
    if kind == "random":
        return random_weights(checkpoint.architecture(layers), _seed(argument), device)
    if layers is not None:
        raise UnsupportedChoice(f"layers={layers} needs random weights, not {weights!r}")
    if weights == "mini":
        return folder_weights(checkpoint, _bundled_folder(checkpoint), source="mini")
    if weights == "hub":
        folder = download(checkpoint, revision)
        return folder_weights(checkpoint, folder, source="hub", revision=folder_revision(folder))
    if revision is not None:
        raise UnsupportedChoice(f"a revision goes with weights 'hub', not with {weights!r}")
    return folder_weights(checkpoint, Path(weights), source="folder")


def folder_weights(
    checkpoint: Checkpoint, folder: Path, *, source: str, revision: str | None = None
) -> TensorStream:
    """Open a folder of ``config.json`` and safetensors or PyTorch files.

    Raises
    ------
    WeightsError
        If the folder does not hold this checkpoint's architecture, or no weights, or a file that
        differs from its pinned SHA-256.
    """
    architecture = read_architecture(folder, checkpoint.architecture(), checkpoint.name)
    entries = (
        (name, tensor)
        for stored, tensor in stored_tensors(folder, expected_sha256=checkpoint.weights_sha256)
        if (name := naming.canonical_name(stored)) is not None
    )
    return TensorStream(architecture, source, entries, revision=revision)


def random_weights(architecture: Architecture, seed: int, device: torch.device) -> TensorStream:
    """Draw weights as an untrained model has them.

    Matrices are normal with standard deviation 0.02 (BERT's initial value), biases 0, norms 1.
    Each tensor is seeded by its own name, so the values depend neither on the order nor on the
    runtime, only on the seed and on whether the device is a CPU or a GPU.
    """
    shapes = naming.parameter_shapes(architecture)
    entries = ((name, _draw(name, shape, seed, device)) for name, shape in shapes.items())
    return TensorStream(architecture, "random", entries, seed=seed)


def _draw(name: str, shape: tuple[int, ...], seed: int, device: torch.device) -> torch.Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape, device=device)
    if len(shape) == 1:
        return torch.ones(shape, device=device)
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.randn(shape, generator=generator, device=device) * _INITIAL_STD


def _seed(argument: str) -> int:
    if argument in ("", "0"):
        return 0
    if argument.isascii() and argument.isdecimal():
        return int(argument)
    raise UnsupportedChoice(f"random:SEED needs a whole number, not {argument!r}")


def _bundled_folder(checkpoint: Checkpoint) -> Path:
    if checkpoint.bundled is None:
        raise UnsupportedChoice(
            f"{checkpoint.name!r} has no bundled weights; choose 'hub', 'random' or a folder"
        )
    return _MINI_FOLDER / checkpoint.bundled


def _close(stored: torch.Tensor, exact: torch.Tensor) -> bool:
    # a file may hold them rounded as far as to bfloat16: 8 bits, an error of 2^-9 at most
    return bool(torch.allclose(stored.float(), exact, rtol=math.ldexp(1, -9), atol=6e-8))
