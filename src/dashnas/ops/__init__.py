"""AggConv, the mixture of convolutions that the search relaxes a layer to, and the ways to compute it."""

from dashnas.ops.aggconv import AggConv, AggConv1d, AggConv2d, aggconv
from dashnas.ops.relaxation import GumbelSoftmax, Relaxation, Softmax
from dashnas.ops.strategies import STRATEGIES, Strategy

__all__ = [
    "STRATEGIES",
    "AggConv",
    "AggConv1d",
    "AggConv2d",
    "GumbelSoftmax",
    "Relaxation",
    "Softmax",
    "Strategy",
    "aggconv",
]
