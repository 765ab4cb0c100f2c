"""Attention maps of chosen records: a safetensors file and a picture each, and an index."""

from harness.attention.choosing import Chosen, choose, read_ids
from harness.attention.files import AXES, INDEX_FILE, SCHEMA, TENSOR, Index, MapFile, write_maps
from harness.attention.plan import Plan, Stored
from harness.attention.room import check_room

__all__ = [
    "AXES",
    "INDEX_FILE",
    "SCHEMA",
    "TENSOR",
    "Chosen",
    "Index",
    "MapFile",
    "Plan",
    "Stored",
    "check_room",
    "choose",
    "read_ids",
    "write_maps",
]
