"""Data sets for the backbones to fit, and one thread to run these small networks on."""

from collections.abc import Callable, Iterator

import pytest
import torch

from dashnas.data.spec import DataSpec, TargetKind


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute on one thread: in networks so small, threads spend their time waiting for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_spec() -> Callable[..., DataSpec]:
    """Make the spec of a data set from its shape; dense=True gives it one target per position."""

    def make(*spatial_shape: int, channels: int = 2, outputs: int = 3, dense: bool = False) -> DataSpec:
        return DataSpec(
            channels=channels,
            spatial_shape=spatial_shape,
            target_kind=TargetKind.DENSE_REGRESSION if dense else TargetKind.CLASSES,
            outputs=outputs,
        )

    return make
