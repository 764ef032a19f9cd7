"""Windows that are blanked out of samples in training."""

import pytest
import torch

from dashnas.cutout import cut_out


def inputs(*spatial: int, batch: int = 400) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(batch, 3, *spatial) + 1


@pytest.mark.parametrize("spatial", [(40,), (20, 30)])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_of_each_sample_one_window_is_zero_in_all_channels(spatial, share):
    x = inputs(*spatial)
    cut = cut_out(x, share)
    blank = cut == 0
    assert torch.equal(cut[~blank], x[~blank])
    assert torch.equal(blank, blank[:, :1].expand_as(blank))
    window = blank[:, 0]
    sides = torch.ones(len(x), dtype=torch.int64)
    for axis, size in enumerate(spatial, start=1):
        along = window.any(dim=tuple(d for d in range(1, window.dim()) if d != axis)).int()
        begins = (along.diff(dim=1, prepend=torch.zeros(len(x), 1, dtype=torch.int)) == 1).sum(dim=1)
        assert (begins <= 1).all(), "one piece"
        assert along.sum(dim=1).max() <= round(share * size)
        sides = sides * along.sum(dim=1)
    assert torch.equal(window.flatten(1).sum(dim=1), sides), "a product of intervals"


def test_all_sizes_and_places_occur():
    blank = cut_out(inputs(10, batch=4000), 0.4)[:, 0] == 0
    sizes = blank.sum(dim=1).bincount(minlength=5) / len(blank)
    # Rounded from 0 to 4 with equal density: half as often at both ends.
    torch.testing.assert_close(sizes, torch.tensor([1, 2, 2, 2, 1]) / 8, atol=0.03, rtol=0)
    assert blank.float().mean(dim=0).min() > 0.05


def test_windows_are_drawn_from_the_default_generator_alone():
    x = inputs(40)
    torch.manual_seed(1)
    first = cut_out(x, 0.5)
    assert not torch.equal(cut_out(x, 0.5), first)
    torch.manual_seed(1)
    assert torch.equal(cut_out(x, 0.5), first)


def test_windows_lie_in_what_a_series_has_before_its_padding():
    x = inputs(40)
    lengths = torch.arange(len(x)) % 40 + 1
    blank = cut_out(x, 0.5, lengths)[:, 0] == 0
    assert not (blank & (torch.arange(40) >= lengths[:, None])).any()
    assert (blank.sum(dim=1) <= (lengths / 2).round()).all()
    assert blank[lengths == 40].any()
