"""How exact the arithmetic of a training step is; what is trained, saved and scored is float32 in any case."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum

import torch
from torch import Tensor


class Precision(StrEnum):
    """Of the forward and backward passes of search, tuning and training."""

    FLOAT32 = "float32"
    """As PyTorch is set. Its own setting on a GPU: convolutions in TF32, matrix products in float32."""
    TF32 = "tf32"
    """Matrix products on a GPU round their factors to 10 bits too; elsewhere the same as float32."""
    BFLOAT16 = "bfloat16"
    """Layers compute in bfloat16, with 7 bits, and hand it on in half the memory; matrix products that stay in
    float32 are as in TF32."""

    @property
    def layer_dtype(self) -> torch.dtype:
        """Of what layers hand on."""
        return torch.bfloat16 if self is Precision.BFLOAT16 else torch.float32


def computes_bfloat16(device: torch.device) -> bool:
    """Whether it is a processor that multiplies in bfloat16 by itself; it trains about half as long in it then.

    GPUs do too, but no training was measured to be faster there. Of a PyTorch that cannot tell, it is not believed.
    """
    known: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


@contextmanager
def matrix_products(precision: Precision, device: torch.device) -> Iterator[None]:
    """Within it, matrix products on a GPU are as exact as is asked for; elsewhere nothing is touched."""
    if device.type != "cuda" or precision is Precision.FLOAT32:
        yield
        return
    with _float32_products("high"):
        yield


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Within it, matrix products are of all digits that float32 has, whatever is set outside."""
    with _float32_products("highest"), torch.autocast(device.type, enabled=False):
        yield


@contextmanager
def _float32_products(setting: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(setting)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def layers(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Within it, layers hand on what they compute in the precision's dtype; an autocast of one's own stays."""
    return torch.autocast(device.type, torch.bfloat16) if precision is Precision.BFLOAT16 else nullcontext()


def widened(outputs: Tensor) -> Tensor:
    """What a network computed, for the loss: bfloat16 as float32, anything else as it is."""
    return outputs.float() if outputs.dtype == torch.bfloat16 else outputs
