"""What `import dashnas` gives, and what it leaves alone."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dashnas

# Third-party packages change some of these when they are imported (scikit-learn sets variables for OpenMP);
# they come before the first look, so that only what dashnas itself does is seen.
_LOOK_IMPORT_LOOK = """
import importlib, logging, os, random, signal, socket, sys, warnings
import numpy, torch, sklearn, optuna, safetensors.torch, rich, typer

def refuse(*arguments):
    raise RuntimeError("importing dashnas must not use the network")

socket.socket.connect = socket.getaddrinfo = refuse

def look():
    return {
        "environment variables": dict(os.environ),
        "working folder": (os.getcwd(), os.listdir()),
        "module search path": list(sys.path),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradient mode": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "cudnn benchmark": torch.backends.cudnn.benchmark,
        "torch generator": torch.get_rng_state().tolist(),
        "numpy generator": str(numpy.random.get_state()),
        "numpy errors": numpy.geterr(),
        "python generator": random.getstate(),
        "warning filters": list(warnings.filters),
        "log level and handlers": (logging.root.level, list(logging.root.handlers)),
        "optuna log level": optuna.logging.get_verbosity(),
        "interrupt handler": signal.getsignal(signal.SIGINT),
        "exception hook": sys.excepthook,
    }

import sklearn.metrics  # draws from the python generator when it is imported, which is not ours to mend

before = look()
importlib.import_module("dashnas")
after = look()
changed = [name for name in before if before[name] != after[name]]
if changed:
    sys.exit("importing dashnas changed: " + ", ".join(changed))
"""


def test_all_lists_exactly_the_public_names():
    # Names are imported when they are first used; their order is held by ruff (RUF022).
    assert len(dashnas.__all__) == len(set(dashnas.__all__))
    assert set(dashnas.__all__) == set(dashnas._HOMES)


def test_type_checkers_see_the_same_names_in_the_same_modules():
    tree = ast.parse(Path(dashnas.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {name.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert seen == dashnas._HOMES


@pytest.mark.parametrize("name", dashnas.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(dashnas, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'dashnas' has no attribute 'fitt'"):
        dashnas.fitt  # noqa: B018


def test_importing_the_package_prints_and_changes_nothing(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    imported = subprocess.run(
        [sys.executable, "-c", _LOOK_IMPORT_LOOK],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (imported.returncode, imported.stdout, imported.stderr) == (0, "", "")
