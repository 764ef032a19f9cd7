"""What people are told of a run: bars on a terminal, plain lines elsewhere, or nothing."""

import inspect

import pytest
from rich.console import Console

from dashnas.progress import Bars, PlainLines, Reporter, Silent, describe

EVENT = {"phase": "tune-3", "epoch": 4, "loss": 0.123456, "score": 0.25, "best": 0.2, "metric": "error"}


def test_an_epoch_in_a_few_words():
    assert describe(EVENT, 10) == "epoch 5/10  loss 0.1235  error 0.25  best 0.2"
    assert describe({"epoch": 0, "loss": 1.5, "score": None}, 3) == "epoch 1/3  loss 1.5"


@pytest.mark.parametrize("reporter", [Silent, PlainLines, Bars])
def test_every_reporter_hears_of_everything(reporter):
    """The contract of `Reporter`: its methods, with the same arguments."""
    names = [name for name in vars(Reporter) if not name.startswith("_")]
    assert names == ["message", "begin", "advance", "epoch", "end"]
    for name in names:
        asked, given = (list(inspect.signature(getattr(one, name)).parameters) for one in (Reporter, reporter))
        assert given == asked


def tell_everything(reporter: Reporter) -> None:
    reporter.message("48 samples [of two channels]")
    reporter.begin("search", 10, 3)
    reporter.advance()
    reporter.epoch({"phase": "search", "epoch": 0, "loss": 1.0}, 2)
    reporter.epoch({"phase": "search", "epoch": 1, "loss": 0.5}, 2)
    reporter.end()


def test_silence(capfd):
    tell_everything(Silent())
    assert capfd.readouterr() == ("", "")


def test_plain_lines_go_to_standard_error_each_on_its_own(capfd):
    tell_everything(PlainLines(every_seconds=0))
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "48 samples [of two channels]",
        "search: epoch 1/2  loss 1",
        "search: epoch 2/2  loss 0.5",
    ]


def test_plain_lines_come_now_and_then_and_at_the_end_of_a_phase(capfd, monkeypatch):
    times = iter([100.0, 103.0, 109.0, 111.0, 112.0])
    monkeypatch.setattr("dashnas.progress.time.monotonic", lambda: next(times))
    reporter = PlainLines(every_seconds=10)
    for epoch in range(5):
        reporter.epoch({"phase": "retrain", "epoch": epoch, "loss": 1.0}, 5)
    told = [line.split()[2] for line in capfd.readouterr().err.splitlines()]
    assert told == ["1/5", "4/5", "5/5"]


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of which the text is kept."""
    made = []

    def console(**_):
        made.append(Console(record=True, force_terminal=True, width=120, file=open("/dev/null", "w")))  # noqa: SIM115
        return made[-1]

    monkeypatch.setattr("dashnas.progress.Console", console)
    yield lambda: made[-1].export_text(clear=False)
    made[-1].file.close()


def test_a_bar_shows_phase_steps_epoch_loss_and_best(terminal):
    with Bars() as bars:
        bars.begin("tune-3", 10, 3)
        bars.advance()
        bars.epoch(EVENT, 10)
        bars._progress.refresh()
        bars._progress.stop()
        shown = terminal()
    for part in ("tune-3", "4/10", "epoch 5/10", "loss 0.1235", "error 0.25", "best 0.2"):
        assert part in shown


def test_a_finished_phase_becomes_a_line(terminal):
    with Bars() as bars:
        bars.begin("tune-3", 10, 0)
        bars.epoch(EVENT, 10)
        bars.end()
        assert not bars._progress.tasks
        bars.message("text in [brackets] stays as it is")
    assert "tune-3: epoch 5/10  loss 0.1235" in terminal()
    assert "text in [brackets] stays as it is" in terminal()


def test_a_phase_that_was_broken_off_leaves_no_bar_behind(terminal):
    """As when a recipe diverges: there is no `end`."""
    with Bars() as bars:
        bars.begin("tune-0", 10, 0)
        bars.begin("tune-1", 10, 0)
        assert [task.description for task in bars._progress.tasks] == ["tune-1"]


def test_bars_may_be_told_out_of_turn(terminal):
    with Bars() as bars:
        bars.advance()
        bars.epoch(EVENT, 10)
        bars.end()
        assert not bars._progress.tasks
