"""A device is used or refused, never replaced."""

from __future__ import annotations

import pytest
import torch

from classifier import ClassifierError
from classifier.devices import checked_device, cpu_threads


def test_the_processor_is_always_there() -> None:
    assert checked_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "meta-physics"])
def test_a_device_that_is_not_there_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ClassifierError) as caught:
        checked_device(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def fail_on(threads: int) -> None:
    with cpu_threads(threads):
        assert torch.get_num_threads() == threads
        raise KeyError


def test_threads_hold_for_the_body_alone_even_when_it_fails() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError):
        fail_on(before + 1)
    assert torch.get_num_threads() == before


def test_no_threads_are_refused() -> None:
    with pytest.raises(ClassifierError, match="at least 1, not 0"), cpu_threads(0):
        pass
