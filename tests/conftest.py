"""What holds for every test: the same random numbers each time, and no network in the fast tests."""

import random
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

_HERE = {"localhost", "127.0.0.1", "::1"}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Start every test at the same random state, whichever tests ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fast tests compute with one thread, so that they are as fast beside other work; afterwards as it was."""
    if request.node.get_closest_marker("slow"):
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep measurements of these tests out of the user's cache; downloads of slow tests stay there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dashnas.ops.plan.cache_folder", lambda: tmp_path_factory.getbasetemp() / "cache")
        yield


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines, unless the test is marked slow.

    Processes that the test starts are not covered. The error is no OSError: code that copes with a missing
    network would otherwise hide the attempt.
    """
    if request.node.get_closest_marker("slow"):
        return

    def refuse_elsewhere(name: str) -> None:
        connect = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family != socket.AF_UNIX and address[0] not in _HERE:
                raise RuntimeError(f"a fast test must not use the network; it tried {address}; mark it slow")
            return connect(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)

    refuse_elsewhere("connect")
    refuse_elsewhere("connect_ex")
    look_up = socket.getaddrinfo

    def look_up_here(host: Any, *arguments: Any, **keywords: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and name not in _HERE:
            raise RuntimeError(f"a fast test must not use the network; it looked up {name!r}; mark it slow")
        return look_up(host, *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
