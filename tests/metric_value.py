"""The value of a metric of the protocols on arrays, with the fields that it needs."""

import numpy as np

from dashnas.metrics import Answers
from dashnas.protocol_metrics import PROTOCOL_METRICS, pooled


def value(name, predictions, targets, mask=None, **fields):
    metric = PROTOCOL_METRICS[name]
    answers = Answers(np.asarray(predictions), np.asarray(targets), mask)
    return metric.compute(*pooled(metric, answers, {key: np.asarray(field) for key, field in fields.items()}))
