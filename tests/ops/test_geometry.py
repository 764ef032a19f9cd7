"""Where taps lie, and which positions they meet under a stride."""

import pytest

from dashnas.ops.geometry import Geometry, Phase, stride_phases


def phases_of(sizes, dilations, stride, map_shape):
    return stride_phases(Geometry(tuple(sizes), tuple(dilations), stride), map_shape)


def test_without_a_stride_the_map_is_its_only_phase():
    offsets = ((-3, -1, 0, 1, 3),)
    assert phases_of([(3,), (3,)], [(1,), (3,)], (1,), (10,)) == (Phase((0,), offsets, offsets),)


def test_a_stride_of_two_parts_even_from_odd_taps():
    even, odd = phases_of([(5,)], [(1,)], (2,), (10,))
    assert even == Phase(start=(0,), offsets=((-2, 0, 2),), steps=((-1, 0, 1),))
    assert odd == Phase(start=(1,), offsets=((-1, 1),), steps=((-1, 0),))


def test_starts_without_taps_are_no_phases():
    assert [phase.start for phase in phases_of([(3,)], [(2,)], (2,), (10,))] == [(0,)]
    assert [phase.start for phase in phases_of([(1, 3)], [(1, 1)], (2, 2), (10, 10))] == [(0, 0), (0, 1)]


def test_phases_that_no_candidate_meets_on_both_axes_at_once_are_left_out():
    starts = {phase.start for phase in phases_of([(1, 3), (3, 1)], [(1, 1), (1, 1)], (2, 2), (9, 8))}
    assert starts == {(0, 0), (0, 1), (1, 0)}


def test_taps_whose_steps_leave_the_phase_are_left_out():
    (odd,) = (phase for phase in phases_of([(7,)], [(1,)], (2,), (4,)) if phase.start == (1,))
    assert odd.offsets == ((-1, 1, 3),)  # the tap at -3 would have to step two back, but there are only two outputs


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_phases_and_steps_name_every_meeting_of_output_and_input_once(stride):
    length, geometry = 11, Geometry(((3,), (5,)), ((1,), (3,)), (stride,))
    offsets = {-6, -3, -1, 0, 1, 3, 6}
    met = [
        (p, phase.start[0] + stride * (p + step))
        for phase in stride_phases(geometry, (length,))
        for step in phase.steps[0]
        for p in range(-(-length // stride))
        if p + step >= 0 and phase.start[0] + stride * (p + step) < length
    ]
    expected = [
        (p, stride * p + o) for p in range(-(-length // stride)) for o in offsets if 0 <= stride * p + o < length
    ]
    assert sorted(met) == sorted(expected)
