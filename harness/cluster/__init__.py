"""The same folder of shards, made by many workers on Ray.

Nothing here imports Ray before a run asks for it.
"""

from harness.cluster.engine import RayEngine
from harness.cluster.sharing import Node, Share, share_out

__all__ = ["Node", "RayEngine", "Share", "share_out"]
