"""From FASTA to shards of vectors, and from shards to what a classifier takes."""

from harness.features.admission import admit, admitted_records, admitted_residues
from harness.features.embedding import is_out_of_memory, release_memory
from harness.features.errors import (
    EmbedderBroken,
    FastaError,
    FeaturesError,
    FolderError,
    LabelsError,
    ManifestError,
    MergeError,
    ShardCorrupt,
    StrictRejection,
    WorkerHung,
)
from harness.features.extraction import OneEmbedder, extract, extract_by
from harness.features.fasta import FastaSurvey, Record, read_fasta, survey_fasta
from harness.features.folders import EmbeddingFolder, open_folder
from harness.features.frames import FrameId, contig_of
from harness.features.journal import JOURNAL_FILE
from harness.features.labels import CLASSES, Labels, join_labels, read_labels
from harness.features.making import Engine
from harness.features.manifest import Manifest, Part, part_of, read_manifest
from harness.features.matrices import Features, block_labels, load_features, merged_blocks
from harness.features.merge import merge, repack
from harness.features.rejects import Reject, read_rejects
from harness.features.shard_files import Format, read_shard, write_shard
from harness.features.shards import DEFAULT_SHARD_SIZE, Kind, Place, Shard
from harness.features.store import check_store
from harness.features.summary import ExtractionSummary
from harness.features.worker import DEFAULT_TIMEOUT_S, Worker

__all__ = [
    "CLASSES",
    "DEFAULT_SHARD_SIZE",
    "DEFAULT_TIMEOUT_S",
    "JOURNAL_FILE",
    "EmbedderBroken",
    "EmbeddingFolder",
    "Engine",
    "ExtractionSummary",
    "FastaError",
    "FastaSurvey",
    "Features",
    "FeaturesError",
    "FolderError",
    "Format",
    "FrameId",
    "Kind",
    "Labels",
    "LabelsError",
    "Manifest",
    "ManifestError",
    "MergeError",
    "OneEmbedder",
    "Part",
    "Place",
    "Record",
    "Reject",
    "Shard",
    "ShardCorrupt",
    "StrictRejection",
    "Worker",
    "WorkerHung",
    "admit",
    "admitted_records",
    "admitted_residues",
    "block_labels",
    "check_store",
    "contig_of",
    "extract",
    "extract_by",
    "is_out_of_memory",
    "join_labels",
    "load_features",
    "merge",
    "merged_blocks",
    "open_folder",
    "part_of",
    "read_fasta",
    "read_labels",
    "read_manifest",
    "read_rejects",
    "read_shard",
    "release_memory",
    "repack",
    "survey_fasta",
    "write_shard",
]
