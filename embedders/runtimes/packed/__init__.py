"""ESM-2 without padding: the tokens of many sequences in one row.

Linear layers and norms see real tokens only; attention keeps each sequence to itself, by a
variable-length kernel on CUDA and by a kernel of this project on a CPU. ``docs/performance.md``
has what each part costs and what was tried.
"""

from embedders.runtimes.packed.model import PackedEncoder, build, outline

__all__ = ["PackedEncoder", "build", "outline"]
