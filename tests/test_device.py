"""Names of devices."""

import pytest
import torch

from dashnas.device import find_device
from dashnas.errors import ConfigError


@pytest.mark.parametrize("name", ["nonsense", "cpu:x", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ConfigError, match=r"unknown device .*; try cpu, cuda or cuda:0"):
        find_device(name)


def test_a_missing_gpu_is_said_to_be(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="PyTorch finds no GPU; use --device cpu"):
        find_device("cuda")


def test_other_kinds_of_devices_are_not_supported():
    with pytest.raises(ConfigError, match="device 'meta' is not supported; use cpu or cuda"):
        find_device("meta")


def test_of_several_gpus_one_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="there is no 'cuda:2'; PyTorch finds 2 GPUs, from cuda:0 on"):
        find_device("cuda:2")
    assert find_device("cuda:1") == torch.device("cuda:1")
