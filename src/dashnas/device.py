"""Where networks are trained and asked."""

import torch

from dashnas.errors import ConfigError


def find_device(name: str) -> torch.device:
    """The PyTorch device of a name.

    Raises:
        ConfigError: there is no such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"unknown device {name!r}; try cpu, cuda or cuda:0") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r} is not supported; use cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r} was asked for, but PyTorch finds no GPU; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"there is no {name!r}; PyTorch finds {torch.cuda.device_count()} GPUs, from cuda:0 on")
    return device
