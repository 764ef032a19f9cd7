from pathlib import Path

import pytest

from dashnas.storage import cache_folder


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"DASHNAS_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/dashnas")),
        ({}, Path("/home/someone/.cache/dashnas")),
    ],
)
def test_cache_folder(environment, expected, monkeypatch):
    for name in ("DASHNAS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/someone", **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected
