"""The table of what can be computed: one row per checkpoint.

A checkpoint says *what* is computed; a runtime (:mod:`embedders.runtimes`) says *how*. Other
packages bring rows of their own (:mod:`embedders.plugins`); :func:`embedders.checkpoint` knows all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from embedders.contract import Modality
from embedders.errors import InputError


class Family(StrEnum):
    """Which kind of function a checkpoint holds; ``PLUGIN`` is any that another package brings."""

    ESM2 = "esm2"
    ESMC = "esmc"
    PROTT5 = "prott5"
    DNABERT = "dnabert"
    KMER = "kmer"
    PLUGIN = "plugin"


@dataclass(frozen=True, slots=True)
class Architecture:
    """What decides the shape of an ESM-2 encoder.

    ``token_dropout`` scales the token embeddings by 0.88, as every published ESM-2 does.
    """

    layers: int
    width: int
    heads: int
    token_dropout: bool = True

    def __post_init__(self) -> None:
        if min(self.layers, self.width, self.heads) < 1:
            raise InputError(f"layers, width and heads must be at least 1: {self}")
        if self.width % (2 * self.heads):
            # rotary positions turn pairs of channels within each head
            raise InputError(f"width must be a multiple of twice the heads: {self}")

    @property
    def feed_forward(self) -> int:
        """Width inside the feed-forward block: four times the model's."""
        return 4 * self.width

    # what embedders.arithmetic.Arithmetic asks for

    @property
    def layer_weights(self) -> int:
        """Numbers in one layer's matrices: ``4·H²`` of attention and ``2·4H·H``."""
        return 12 * self.width**2

    @property
    def attention_width(self) -> int:
        """Width of the queries of all heads together: the model's."""
        return self.width

    @property
    def layer_traffic(self) -> int:
        """Numbers that one layer's steps read and write per token: ``20·H``."""
        return 20 * self.width

    @property
    def special_tokens(self) -> int:
        """BOS and EOS."""
        return 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One row of the table.

    ``parameters`` counts the encoder that gives the embedding: token embedding, layers and final
    norm, without language-model and contact heads (so 2.832 B where the literature says 2.84 B).
    ``revision`` is the hub commit that is loaded; ``None`` means that no full commit hash is
    known, then the hub's current one is loaded and recorded. ``bundled`` names the folder under
    ``embedders/mini`` that holds the weights, ``weights_sha256`` the SHA-256 that its
    ``model.safetensors`` must have. ``head_width`` and ``feed_forward`` are given where they do not
    follow from the width. ``other_runtimes`` are names of runtimes beside the default one; of those
    an audit takes the first that did not compute the arm, to compare it with.
    """

    name: str
    family: Family
    modality: Modality
    width: int
    layers: int
    heads: int
    parameters: int
    default_runtime: str
    licence: str
    hub_id: str | None = None
    revision: str | None = None
    fair_esm_name: str | None = None
    bundled: str | None = None
    weights_sha256: str | None = None
    head_width: int | None = None
    feed_forward: int | None = None
    other_runtimes: tuple[str, ...] = ()

    @property
    def default_weights(self) -> str:
        """Weights that are taken where none are named: the bundled ones, else the hub's."""
        return "mini" if self.bundled else "hub"

    def architecture(self, layers: int | None = None) -> Architecture:
        """Shape of the ESM-2 encoder, with another depth if ``layers`` is given.

        Raises
        ------
        InputError
            If this is no ESM-2 checkpoint.
        """
        if self.family is not Family.ESM2:
            raise InputError(f"{self.name!r} is no ESM-2 checkpoint and has no such architecture")
        return Architecture(
            layers=self.layers if layers is None else layers, width=self.width, heads=self.heads
        )


def _esm2(
    name: str,
    fair_esm_name: str,
    shape: tuple[int, int, int],
    parameters: int,
    revision: str | None,
) -> Checkpoint:
    layers, width, heads = shape
    return Checkpoint(
        name=name,
        family=Family.ESM2,
        modality=Modality.PROTEIN,
        width=width,
        layers=layers,
        heads=heads,
        parameters=parameters,
        default_runtime="fair-esm",
        licence="MIT",
        hub_id=f"facebook/{fair_esm_name}",
        revision=revision,
        fair_esm_name=fair_esm_name,
    )


def _mini(
    name: str, shape: tuple[int, int, int], parameters: int, runtime: str, sha256: str
) -> Checkpoint:
    layers, width, heads = shape
    return Checkpoint(
        name=name,
        family=Family.ESM2,
        modality=Modality.PROTEIN,
        width=width,
        layers=layers,
        heads=heads,
        parameters=parameters,
        default_runtime=runtime,
        licence="MIT",
        bundled=name,
        weights_sha256=sha256,
    )


def _esmc(
    name: str,
    hub_id: str,
    shape: tuple[int, int, int, int],
    parameters: int,
    revision: str | None,
) -> Checkpoint:
    layers, width, heads, feed_forward = shape
    return Checkpoint(
        name=name,
        family=Family.ESMC,
        modality=Modality.PROTEIN,
        width=width,
        layers=layers,
        heads=heads,
        feed_forward=feed_forward,
        parameters=parameters,
        default_runtime="huggingface",
        other_runtimes=("reference",),
        licence="MIT and others, see its card",
        hub_id=hub_id,
        revision=revision,
    )


# The facebook/* revisions are those under which public projects hold these repositories in their
# hub caches (`models--facebook--…/snapshots/<revision>`) or pin them in a table of model
# revisions; each full hash was seen in at least one such public file, 8M to 3B in several.
_ROWS = (
    _esm2(
        "esm2-8m",
        "esm2_t6_8M_UR50D",
        (6, 320, 20),
        7_408_960,
        "c731040fcd8d73dceaa04b0a8e6329b345b0f5df",
    ),
    _esm2(
        "esm2-35m",
        "esm2_t12_35M_UR50D",
        (12, 480, 20),
        33_269_280,
        "6fbf070e65b0b7291e7bbcd451118c216cff79d8",
    ),
    _esm2(
        "esm2-150m",
        "esm2_t30_150M_UR50D",
        (30, 640, 20),
        147_728_000,
        "a695f6045e2e32885fa60af20c13cb35398ce30c",
    ),
    _esm2(
        "esm2-650m",
        "esm2_t33_650M_UR50D",
        (33, 1280, 20),
        649_400_320,
        "08e4846e537177426273712802403f7ba8261b6c",
    ),
    _esm2(
        "esm2-3b",
        "esm2_t36_3B_UR50D",
        (36, 2560, 40),
        2_832_442_880,
        "476b639933c8baad5ad09a60ac1a87f987b656fc",
    ),
    _esm2(
        "esm2-15b",
        "esm2_t48_15B_UR50D",
        (48, 5120, 40),
        15_102_868_480,
        "5fbca39631164edc1d402a5aa369f982f72ee282",
    ),
    Checkpoint(
        name="fastesm2-650",
        family=Family.ESM2,
        modality=Modality.PROTEIN,
        width=1280,
        layers=33,
        heads=20,
        parameters=649_400_320,
        default_runtime="huggingface",
        licence="MIT",
        hub_id="Synthyra/FastESM2_650",
        # two full commits were seen on its hub page; this is the one listed first, hence the
        # newer; the other is 888b364d85f1059fc453bb365c7509a4d8f7be3b
        revision="43667d44e325f0d0c0ee0b90d6956bf5c5998959",
    ),
    _mini(
        "mini-baseline",
        (4, 192, 6),
        1_786_176,
        "fair-esm",
        "8a204880ff28a829ad3b50f40dd432673c1435101ef0f5dd80fb66398c1985bd",
    ),
    _mini(
        "mini-candidate",
        (4, 96, 3),
        450_720,
        "huggingface",
        "1e5ea156226807cfd03ab36b90e8b843faec2d392a3537cb4186d6b501411a7e",
    ),
    # transformers' documentation names these repositories as the ones in its own layout; the
    # commit of the 600M is pinned by several public projects, none was found for the 300M
    _esmc("esmc-300m", "biohub/ESMC-300M-hf", (30, 960, 15, 2560), 332_011_200, None),
    _esmc(
        "esmc-600m",
        "biohub/ESMC-600M-hf",
        (36, 1152, 18, 3072),
        573_632_640,
        "0fb34e7e5fe1f85d0abaa3d35e2671107c0b458c",
    ),
    Checkpoint(
        name="prott5-xl",
        family=Family.PROTT5,
        modality=Modality.PROTEIN,
        width=1024,
        layers=24,
        heads=32,
        head_width=128,
        feed_forward=16384,
        parameters=1_208_141_824,
        default_runtime="huggingface",
        other_runtimes=("reference",),
        licence="AFL-3.0",
        hub_id="Rostlab/prot_t5_xl_half_uniref50-enc",
        # several public projects hold it in their hub caches under this hash
        revision="94a6abc029ae13029317b140b7424e012bf8dfbf",
    ),
    Checkpoint(
        name="dnabert-s",
        family=Family.DNABERT,
        modality=Modality.NUCLEOTIDE,
        width=768,
        layers=12,
        heads=12,
        # 4,096 + 2 embeddings and their norm, and 12 layers of 9,444,096 (gated feed-forward)
        parameters=116_477_952,
        default_runtime="huggingface",
        licence="Apache-2.0",
        hub_id="zhihan1996/DNABERT-S",
        # pinned under this hash by several public projects that use DNABERT-S
        revision="00e47f96cdea35e4b6f5df89e5419cbe47d490c6",
    ),
    Checkpoint(
        name="kmer4",
        family=Family.KMER,
        modality=Modality.NUCLEOTIDE,
        width=136,
        layers=0,
        heads=0,
        parameters=0,
        default_runtime="numpy",
        licence="MIT",
    ),
)

CHECKPOINTS: dict[str, Checkpoint] = {row.name: row for row in _ROWS}
"""Every checkpoint by name, in the order in which they are listed."""
