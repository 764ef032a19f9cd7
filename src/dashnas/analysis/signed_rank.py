"""Wilcoxon's signed-rank test on ratios of errors, which knows no units."""

import numpy as np
from scipy.stats import wilcoxon

from dashnas.analysis.error_table import Floats


def log_ratios(one: Floats, other: Floats) -> Floats:
    """ln(one / other) of positive errors, 0 where both are infinite; positive where `other` is better."""
    ratios = np.zeros_like(one)
    different = one != other
    ratios[different] = np.log(one[different]) - np.log(other[different])
    return ratios


def signed_rank_p(differences: Floats) -> float:
    """The p of the hypothesis that differences are symmetric around 0, two-sided; 1 where all are 0.

    Differences of 0 are left out, as Wilcoxon 1945 does. Exact for few pairs.
    """
    differences = differences[differences != 0]
    return float(wilcoxon(differences).pvalue) if differences.size else 1.0


def smallest_p(pairs: int) -> float:
    """The smallest p that so many pairs can give, all of one sign: 2 / 2^pairs, at most 1."""
    return min(1.0, 2.0 ** (1 - pairs))
