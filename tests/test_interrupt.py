"""Ctrl-C: the first asks to stop, the second stops; afterwards all is as before."""

import signal
import threading

import pytest

from dashnas.interrupt import graceful_interrupt

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_to_stop(number):
    with graceful_interrupt() as stop_requested:
        assert not stop_requested()
        signal.raise_signal(number)
        assert stop_requested()


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_stops_at_once(first, second):
    with graceful_interrupt() as stop_requested:
        signal.raise_signal(first)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)
        assert stop_requested()


@pytest.mark.parametrize("leave_by", [None, ZeroDivisionError, KeyboardInterrupt])
def test_the_handlers_before_are_put_back(leave_by):
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        with graceful_interrupt():
            assert [signal.getsignal(number) for number in SIGNALS] != before
            if leave_by:
                raise leave_by
    except (ZeroDivisionError, KeyboardInterrupt):
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_second_run_begins_with_no_wish_to_stop():
    with graceful_interrupt():
        signal.raise_signal(signal.SIGINT)
    with graceful_interrupt() as stop_requested:
        assert not stop_requested()


def test_outside_the_main_thread_nothing_is_handled():
    seen = []

    def work():
        before = [signal.getsignal(number) for number in SIGNALS]
        with graceful_interrupt() as stop_requested:
            seen.append((stop_requested(), [signal.getsignal(number) for number in SIGNALS] == before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, True)]
