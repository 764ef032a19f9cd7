"""Runs _strategies.py: each way to compute a layer of candidates against one plain convolution.

This file has the name of a module of the standard library, which the scripts of this folder find here first; they are
given the real one.
"""

import sys

folder = sys.path.pop(0)
sys.modules.pop("operator", None)
import operator  # noqa: E402, F401

sys.path.insert(0, folder)

if __name__ == "__main__":
    from _strategies import main

    main()
