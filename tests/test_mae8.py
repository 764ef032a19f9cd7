"""MAE_8 on proteins by hand, in which the protocols differ."""

import numpy as np
import pytest

from dashnas.mae8 import PADDING
from dashnas.metrics import UndefinedScoreError
from metric_value import value


def protein(length, canvas=64, near=(), fill=100.0):
    """True distances on a canvas: 20 everywhere, but 4 for the pairs of `near`."""
    true = np.full((1, 1, canvas, canvas), fill)
    inside = slice(PADDING, PADDING + length)
    true[0, 0, inside, inside] = 20.0
    for i, j in near:
        true[0, 0, PADDING + i, PADDING + j] = true[0, 0, PADDING + j, PADDING + i] = 4.0
    return true


def with_errors(true, errors):
    """Predictions that are off by so much above and below the diagonal at pairs."""
    predictions = true.copy()
    for (i, j), (above, below) in errors.items():
        predictions[0, 0, PADDING + i, PADDING + j] += above
        predictions[0, 0, PADDING + j, PADDING + i] += below
    return predictions


class TestMae8:
    def test_only_near_pairs_that_are_far_apart_in_the_chain_count(self):
        true = protein(40, near=[(0, 24), (3, 10)])
        predictions = with_errors(true, {(0, 24): (2, 2), (3, 10): (50, 50), (5, 35): (50, 50)})
        assert value("mae8", predictions, true, length=[40]) == pytest.approx(2)

    def test_the_two_predictions_of_a_pair_are_averaged(self):
        true = protein(40, near=[(0, 24)])
        predictions = with_errors(true, {(0, 24): (4, 0)})
        assert value("mae8", predictions, true, length=[40]) == pytest.approx(2)
        assert value("mae8@dash-official", predictions, true, length=[40]) == pytest.approx(1)  # 0.25 * 4

    def test_proteins_weigh_the_same_and_those_without_pairs_do_not_count(self):
        true = np.concatenate([protein(40, near=[(0, 24), (1, 30)]), protein(40, near=[(2, 38)]), protein(40)])
        predictions = true.copy()
        predictions[0] += 1
        predictions[1] += 5
        assert value("mae8", predictions, true, length=[40, 40, 40]) == pytest.approx(3)

    def test_predictions_are_raised_to_a_hundredth(self):
        true = protein(40, near=[(0, 24)])
        predictions = with_errors(true, {(0, 24): (-9, -9)})
        assert value("mae8", predictions, true, length=[40]) == pytest.approx(3.99)

    def test_dash_cuts_every_protein_to_the_length_of_one_of_the_first_two(self):
        true = np.concatenate(
            [protein(30, near=[(0, 24)]), protein(40, near=[(0, 24)]), protein(40, near=[(0, 24), (5, 35)])]
        )
        predictions = true.copy()
        predictions[2:, 0] += with_errors(np.zeros((1, 1, 64, 64)), {(5, 35): (6, 6)})[0]
        lengths = [30, 40, 40]
        assert value("mae8", predictions, true, length=lengths) == pytest.approx((0 + 0 + 3) / 3)
        # The third is first of its batch, and cut to 30 residues like the very first.
        assert value("mae8@dash-official", predictions, true, length=lengths) == 0

    def test_dash_averages_over_batches_of_two(self):
        true = np.concatenate([protein(40, near=[(0, 24)])] * 3)
        predictions = true.copy()
        predictions[2] += 3
        assert value("mae8", predictions, true, length=[40] * 3) == pytest.approx(1)
        assert value("mae8@dash-official", predictions, true, length=[40] * 3) == pytest.approx((0 + 3) / 2)

    def test_dash_is_infinite_where_a_batch_has_no_pair(self):
        true = np.concatenate([protein(40, near=[(0, 24)])] * 2 + [protein(40)])
        assert value("mae8", true, true, length=[40] * 3) == 0
        assert value("mae8@dash-official", true, true, length=[40] * 3) == np.inf

    def test_nb360_stitches_tiles_and_takes_the_lengths_of_others(self):
        lengths = np.array([26, 40, 40])
        true = np.concatenate([protein(n, near=[(0, 24), (1, n - 1)]) for n in lengths])
        predictions = true.copy()
        predictions[:, 0] += with_errors(np.zeros((1, 1, 64, 64)), {(0, 24): (4, 0), (1, 39): (8, 0)})[0]
        tiles = {
            name: maps.reshape(3, 1, 4, 16, 4, 16).transpose(0, 2, 4, 1, 3, 5).reshape(48, 1, 16, 16)
            for name, maps in (("predictions", predictions), ("targets", true))
        }
        got = value(
            "mae8@nb360-official",
            tiles["predictions"],
            tiles["targets"],
            length=np.repeat(lengths, 16),
            id=np.repeat([0, 1, 2], 16),
        )
        wrong = lengths[np.random.RandomState(0).permutation(3)]
        assert wrong.tolist() != lengths.tolist()
        # Of the pairs (0, 24), off by 0.25 * 4, and (1, 39), off by 0.25 * 8, the second is lost to a short length; the
        # first protein has (1, 25) instead, which is right.
        errors = [np.mean([1, 0])] + [np.mean([1, 2]) if cut == 40 else 1 for cut in wrong[1:]]
        assert got == pytest.approx(np.mean(errors))

    def test_a_lost_output_is_infinitely_wrong(self):
        true = protein(40, near=[(0, 24)])
        assert value("mae8", np.full_like(true, np.nan), true, length=[40]) == np.inf

    def test_no_pair_at_all_has_no_score(self):
        with pytest.raises(UndefinedScoreError, match="mae8 needs a protein with two residues that are at least 24"):
            value("mae8", protein(20), protein(20), length=[20])
