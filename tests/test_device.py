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
