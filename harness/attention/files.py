"""The files of a folder of maps, each written layer by layer while it is computed.

Memory holds one layer's weights, whatever their number; a whole file of the 650M model may be
2.8 GB. safetensors' own writer takes whole tensors only, so the format's few bytes of framing are
written here, equal to the library's to the byte.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from embedders import Embedder, EmbedderSpec, Heads, InputError, watch_attention
from harness import features, measure
from harness.attention.choosing import Chosen
from harness.attention.plan import Plan, Stored
from harness.features.errors import show_id
from harness.files import fresh_folder, write_atomically, write_text_atomically
from harness.progress import bar
from harness.provenance import Provenance, sha256
from harness.report import maps_picture
from harness.results import to_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SCHEMA = "embedder-migration/attention/1"
INDEX_FILE = "index.json"
TENSOR = "attention"
"""Name of a file's one tensor, and of the one key of its header: JSON, as in the index."""
AXES = ("layer", "head", "attending token (query)", "token attended to (key)")

_PANEL = 256
"""A panel of a picture has at most so many rows; larger maps are averaged over squares."""
_ALIGNMENT = 8
_TORCH = {Stored.FLOAT32: torch.float32, Stored.FLOAT16: torch.float16}
_SAFETENSORS = {Stored.FLOAT32: "F32", Stored.FLOAT16: "F16"}


@dataclass(frozen=True, slots=True)
class MapFile:
    """One record of the index: its number in the FASTA file, its two files, its tensor.

    ``residues`` are those after cleaning, ``entered`` those that entered the model; ``bytes`` and
    ``sha256`` are those of ``file``.
    """

    id: str
    number: int
    residues: int
    entered: int
    file: str
    picture: str
    shape: tuple[int, int, int, int]
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds to compute and write, without loading, and the process's own peaks of memory.

    ``device_peak_bytes`` is what torch's allocator held at most, None on a CPU.
    """

    elapsed_s: float
    host_peak_rss_bytes: int
    device_peak_bytes: int | None


@dataclass(frozen=True, slots=True)
class Index:
    """What a folder of maps holds; written last, so that where it is, all is."""

    schema: str
    embedder: EmbedderSpec
    axes: tuple[str, ...]
    layers: tuple[int, ...]
    heads: Heads
    stored: Stored
    records: tuple[MapFile, ...]
    cost: Cost
    provenance: Provenance


def write_maps(
    plan: Plan,
    embedder: Embedder,
    folder: Path,
    provenance: Provenance,
    *,
    progress: bool | None = None,
) -> Index:
    """Map each record of a plan; write files, pictures and the index into a new folder.

    Parameters
    ----------
    embedder
        The plan's, so loaded that it can be read (:func:`embedders.watch_attention`).
    folder
        New or empty. Names in it are numbers: an id is never part of a path.
    progress
        Show a bar that counts layers; None shows it where :func:`harness.progress.bars_wanted`.

    Raises
    ------
    InputError
        If the folder holds something, the embedder is not the plan's, memory runs out, or values
        are not finite. Files that were finished by then stay, without an index.
    OSError
        If the disk refuses.
    """
    spec = embedder.spec
    planned = (plan.model.name, plan.truncation, plan.dtype)
    if (came := (spec.name, spec.truncation, spec.dtype)) != planned:
        raise InputError(f"the plan is for {planned}, the embedder is {came}")
    fresh_folder(folder)
    started = time.perf_counter()
    digits = len(str(len(plan.records)))
    layers = plan.model.architecture().layers
    with bar(layers * len(plan.records), "layer", shown=progress) as shown:
        files = tuple(
            _map(plan, record, embedder, folder / f"map-{place:0{digits}d}", shown.update)
            for place, record in enumerate(plan.records, start=1)
        )
    index = Index(
        schema=SCHEMA,
        embedder=spec,
        axes=AXES,
        layers=plan.selection.layers,
        heads=plan.selection.heads,
        stored=plan.stored,
        records=files,
        cost=_cost(time.perf_counter() - started, torch.device(spec.device)),
        provenance=provenance,
    )
    write_text_atomically(folder / INDEX_FILE, to_json(index))
    return index


def _map(
    plan: Plan, record: Chosen, embedder: Embedder, stem: Path, tick: Callable[[], object]
) -> MapFile:
    """Write one record's file while it is computed, then its picture."""
    file, picture = stem.with_suffix(".safetensors"), stem.with_suffix(".png")
    shape, dtype = plan.shape(record), _TORCH[plan.stored]
    panels: list[tuple[int, npt.NDArray[np.float32]]] = []

    def write(partial: Path) -> None:
        with partial.open("wb") as stream:
            stream.write(_header(plan, record, embedder.spec))

            def see(layer: int, weights: torch.Tensor) -> None:
                if layer in plan.selection.layers:
                    kept = plan.selection.of(weights)
                    if tuple(kept.shape) != shape[1:]:
                        raise InputError(f"a layer's maps are {tuple(kept.shape)}, not {shape[1:]}")
                    panels.append((layer, panel_of(kept)))
                    stream.write(kept.to("cpu", dtype).contiguous().numpy().data)
                tick()

            _watch(embedder, record, see)

    write_atomically(file, write)
    entered = len(plan.entering(record))
    part = "" if entered == len(record.residues) else f" (the first of {len(record.residues):,})"
    drawn = maps_picture(
        panels,
        residues=entered,
        title=record.id,
        subtitle=f"{entered:,} residues{part}, {plan.model.name}, mean of {plan.model.heads} heads",
    )

    def draw(partial: Path) -> None:
        partial.write_bytes(drawn)

    write_atomically(picture, draw)
    return MapFile(
        id=record.id,
        number=record.number,
        residues=len(record.residues),
        entered=entered,
        file=file.name,
        picture=picture.name,
        shape=shape,
        bytes=file.stat().st_size,
        sha256=sha256(file),
    )


def _watch(embedder: Embedder, record: Chosen, see: Callable[[int, torch.Tensor], None]) -> None:
    where = f"record {record.number} ({show_id(record.id)})"
    try:
        vector = watch_attention(embedder, record.residues, see)
    except (RuntimeError, MemoryError) as error:
        if not features.is_out_of_memory(error):
            raise
        raise InputError(
            f"{where}: out of memory with {len(record.residues):,} residues; take a smaller "
            "model, --dtype bfloat16 or a larger machine"
        ) from error
    if not torch.isfinite(vector).all():
        raise InputError(
            f"{where}: values are not finite in {embedder.spec.dtype}; compute in float32 or "
            "bfloat16"
        )


def _header(plan: Plan, record: Chosen, spec: EmbedderSpec) -> bytes:
    """Return what stands before the values: the header's length, and the header as JSON."""
    about = {
        "schema": SCHEMA,
        "id": record.id,
        "residues": plan.entering(record),
        "axes": AXES,
        "layers": plan.selection.layers,
        "heads": plan.selection.heads,
        "embedder": spec.name,
        "weights_sha256": spec.weights.sha256,
        "dtype": spec.dtype,
        "truncation": spec.truncation,
    }
    header = {
        "__metadata__": {TENSOR: json.dumps(about)},
        TENSOR: {
            "dtype": _SAFETENSORS[plan.stored],
            "shape": plan.shape(record),
            "data_offsets": [0, plan.tensor_bytes(record)],
        },
    }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    padded = text + b" " * (-len(text) % _ALIGNMENT)
    return struct.pack("<Q", len(padded)) + padded


def panel_of(kept: torch.Tensor) -> npt.NDArray[np.float32]:
    """Average over heads, leave BOS and EOS out, and count in even spreads over all tokens."""
    tokens = kept.shape[-1]
    between_residues = kept.mean(dim=0)[1:-1, 1:-1] * tokens
    side = min(_PANEL, tokens - 2)
    panel: npt.NDArray[np.float32] = (
        F.adaptive_avg_pool2d(between_residues[None], (side, side))[0].cpu().numpy()
    )
    return panel


def _cost(elapsed_s: float, device: torch.device) -> Cost:
    on_cuda = device.type == "cuda"
    return Cost(
        elapsed_s=elapsed_s,
        host_peak_rss_bytes=measure.host_peak_rss_bytes(),
        device_peak_bytes=torch.cuda.max_memory_allocated(device) if on_cuda else None,
    )
