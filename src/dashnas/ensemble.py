"""Several networks that answer together."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashnas.data.spec import TargetKind
from dashnas.lengths import network_outputs


class Ensemble(nn.Module):
    """The mean of what several networks answer: of probabilities where there are any, given as logits, else of numbers.

    Args:
        members: networks that all take and give the same.
        target_kind: says whether their outputs are logits of classes, logits of yes or no, or numbers.
    """

    def __init__(self, members: Sequence[nn.Module], target_kind: TargetKind) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.target_kind = target_kind

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (batch, channels, *spatial) to (batch, outputs) or (batch, outputs, *spatial), as each member does."""
        outputs = torch.stack([network_outputs(member, x, lengths) for member in self.members])
        if self.target_kind.is_regression:
            return outputs.mean(dim=0)
        if self.target_kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
            return F.log_softmax(outputs, dim=2).logsumexp(dim=0) - math.log(len(self.members))
        return F.logsigmoid(outputs).logsumexp(dim=0) - F.logsigmoid(-outputs).logsumexp(dim=0)
