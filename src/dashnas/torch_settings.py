"""Settings of PyTorch's that a caller may have changed, as they are where nothing was."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def usual_settings() -> Iterator[None]:
    """Within it, new tensors are float32 on the CPU, gradients are recorded, and no autocast of the caller's holds."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        with ExitStack() as settings:
            settings.enter_context(torch.inference_mode(False))  # records gradients within no_grad, too
            if device.type != "cpu":  # any default device, the CPU too, costs time at each call of PyTorch
                settings.enter_context(torch.device("cpu"))
            if _within_autocast():
                for name in ("cpu", "cuda"):
                    settings.enter_context(torch.autocast(name, enabled=False, cache_enabled=False))
            yield
    finally:
        torch.set_default_dtype(dtype)


def _within_autocast() -> bool:
    """Whether there is one around, be it disabled.

    Autocast keeps converted weights until the outermost one ends, so that within another all steps of a training would
    see the weights of the first.
    """
    depth = torch.autocast_increment_nesting()
    torch.autocast_decrement_nesting()
    return depth > 1
