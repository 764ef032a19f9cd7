"""Files of one's own that register methods or tasks, for the command line and the processes that it starts."""

import importlib.util
import sys
from contextlib import redirect_stdout
from pathlib import Path

from dashnas.errors import ConfigError


def load_plugin(path: Path) -> None:
    """Run a Python file as a module; what it registers is known from then on. A second time nothing happens.

    Raises:
        ConfigError: no such file, or it cannot be run.
    """
    name = f"dashnas_plugin_{path.stem}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(
            f"{path} is not a Python file; expected one that registers methods or tasks, such as my_method.py"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with redirect_stdout(sys.stderr):  # standard output is for results, perhaps as JSON
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
