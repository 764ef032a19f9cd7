"""Settings of PyTorch's that hold for a whole process, whatever the caller's are."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def usual_settings() -> Iterator[None]:
    """Within it, new tensors are float32 on the CPU, and gradients are recorded, as where nothing was set."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        # A default device, the CPU too, costs time at each call of PyTorch.
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            nullcontext() if device.type == "cpu" else torch.device("cpu"),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)
