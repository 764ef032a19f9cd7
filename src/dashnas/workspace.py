"""A job with its run directory, opened for data and settings; where these are refused, nothing is left behind."""

import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dashnas.data.prepare import PreparedData, prepare
from dashnas.device import find_device
from dashnas.errors import DataError, UserError
from dashnas.heap import keep_freed_memory
from dashnas.job import NETWORKS, Job
from dashnas.presets import Options, resolve
from dashnas.progress import Reporter, Silent
from dashnas.runs import Run
from dashnas.torch_settings import usual_settings
from dashnas.training import Session


@contextmanager
def workspace(source: Any, options: Options, out: Path | str | None, reporter: Reporter | None) -> Iterator[Job]:
    """Read the data, settle the configuration and open the run directory, with the threads that were asked for."""
    reporter = reporter or Silent()
    find_device(options.device)  # before much is read
    started = time.monotonic()
    with usual_settings():  # a Dataset of torch's may make tensors
        data = prepare(source, options.data, seed=options.seed, protocol=options.protocol)
    options = replace(options, metric=options.metric or data.metric)
    for line in data.reading:
        reporter.message(line)
    for line in data.warnings:
        reporter.message(f"warning: {line}")
    with open_job(data, options, out, reporter, started=started) as job:
        yield job


@contextmanager
def open_job(
    data: PreparedData,
    options: Options,
    out: Path | str | None,
    reporter: Reporter,
    *,
    started: float,
    networks: Collection[str] = tuple(NETWORKS),
    beside: bool = True,
) -> Iterator[Job]:
    """Settle the configuration for data that were read, and open the run directory; the arguments are those of `Job`.

    Args:
        data: what is learned from.
        options: what the user asked for.
        out: the run directory; None keeps nothing.
        reporter: hears of the progress.
        started: from when on a budget counts.
        networks: what the run will train.
        beside: whether the untouched backbone is trained to the end in any case.
    """
    threads_before, device = torch.get_num_threads(), find_device(options.device)
    if len(data.train) < 2:
        raise DataError(
            "only one sample is left to train on; give more samples, a smaller validation or test part, or "
            "--test-fraction 0"
        )
    config = resolve(options, data.spec, len(data.train), len(data.development), data.paper)
    settings = config.to_json() | {"data_fingerprint": data.fingerprint}
    if options.architecture is not None:
        settings["architecture"] = options.architecture.to_json()
    with tempfile.TemporaryDirectory() as scratch, usual_settings():
        # Built once before the run directory is, so that settings that cannot work leave nothing behind.
        session = Session(run=None, reporter=reporter, device=device)  # type: ignore[arg-type]
        job = Job(data, options, session, config, started, networks, beside=beside)
        job.check_networks()
        try:
            torch.set_num_threads(options.threads or threads_before)
            with keep_freed_memory(), Run(Path(out or scratch), settings) as run:
                job.session = replace(session, run=run)
                try:
                    yield job
                except UserError:
                    run.withdraw()
                    raise
        finally:
            torch.set_num_threads(threads_before)
