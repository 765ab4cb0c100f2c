from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedders.errors import InputError
from harness.cluster import Node, Share, share_out

NODES = st.lists(
    st.builds(Node, cpus=st.integers(0, 96), gpus=st.integers(0, 8)), min_size=1, max_size=6
)


@pytest.mark.parametrize(
    ("nodes", "workers", "on_gpus", "share"),
    [
        # this machine as it is: what one process has
        ([Node(2, 0)], None, None, Share(1, 2, 0)),
        ([Node(2, 0)], 2, None, Share(2, 1, 0)),
        # unlike machines: all that the smallest has
        ([Node(8, 0), Node(4, 0)], None, None, Share(2, 4, 0)),
        ([Node(8, 0), Node(4, 0)], 3, None, Share(3, 4, 0)),
        # 8 = 3 + 3 with 2 left over
        ([Node(8, 0), Node(8, 0)], 4, None, Share(4, 4, 0)),
        ([Node(8, 0), Node(8, 0)], 3, None, Share(3, 4, 0)),
        # one worker for each GPU; a head without one has none
        ([Node(4, 0), Node(16, 4)], None, None, Share(4, 4, 1)),
        ([Node(4, 0), Node(16, 4)], 2, True, Share(2, 8, 1)),
        ([Node(4, 0), Node(16, 4)], None, False, Share(2, 8, 0)),
    ],
)
def test_a_cluster_is_shared_out(
    nodes: list[Node], workers: int | None, on_gpus: bool | None, share: Share
) -> None:
    assert share_out(nodes, workers, on_gpus=on_gpus) == share


@given(nodes=NODES, workers=st.integers(1, 40), on_gpus=st.sampled_from([None, True, False]))
def test_all_workers_have_room_and_none_could_have_a_core_more(
    nodes: list[Node], workers: int, on_gpus: bool | None
) -> None:
    try:
        share = share_out(nodes, workers, on_gpus=on_gpus)
    except InputError:
        return
    assert share.fits(nodes) == share.workers == workers
    assert Share(workers, share.cpus + 1, share.gpus).fits(nodes) < workers


def test_a_machine_that_is_gone_takes_its_workers_along() -> None:
    share = share_out([Node(8, 2), Node(8, 2)], None, on_gpus=None)
    assert share.fits([Node(8, 2)]) == 2
    assert share.fits([Node(8, 0)]) == 0


def test_more_workers_than_cores_are_refused() -> None:
    with pytest.raises(InputError, match="no room for 3 workers on 1 machines with 2 cores and 0"):
        share_out([Node(2, 0)], 3, on_gpus=None)


def test_a_gpu_that_is_asked_for_and_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no machine of the cluster has a GPU"):
        share_out([Node(2, 0)], None, on_gpus=True)
