"""What a result was made with: versions of the software, and the hardware."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("dashnas", "torch", "numpy", "scikit-learn", "optuna", "xgboost-cpu", "xgboost", "sktime", "numba")


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide results, of those that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware(device: str) -> dict[str, Any]:
    """The processor, or the GPU of a device."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor()
    return {"device": device, "name": name}


def _processor() -> str:
    """The model of the processor; Linux tells it in a file, elsewhere there is the architecture at least."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
