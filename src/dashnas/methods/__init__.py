"""Methods that learn a task within a budget, behind one interface: DASH and everything that it is compared with."""

from dashnas.methods.method import Fitted, Method, MethodTask, MisfitError, NetworkModel, Predictor
from dashnas.methods.registry import METHODS, get_method, register_method

__all__ = [
    "METHODS",
    "Fitted",
    "Method",
    "MethodTask",
    "MisfitError",
    "NetworkModel",
    "Predictor",
    "get_method",
    "register_method",
]
