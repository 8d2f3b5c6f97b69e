"""The processes that read a stream: they outlive signals, and nothing else outlives the run."""

from __future__ import annotations

import os
import signal
import threading
import time
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
from support import conv, network

import cnncalc
from cnncalc.errors import TrainingError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter  # noqa: E402

from cnncalc.training.feeding.workers import leave_signals, none_missed, read_ahead  # noqa: E402
from cnncalc.training.step.learner import Learner  # noqa: E402

NET = network([1, 8, 8], conv(2, 3), "flatten", {"linear": 2}, name="tiny")

pytestmark = pytest.mark.training


class Pictures(Dataset[Any]):
    """Of which one kills the process that reads it ahead."""

    targets = (0, 1) * 8

    def __init__(self, deadly: int | None = None) -> None:
        self.deadly, self.parent = deadly, os.getpid()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Any:
        if index == self.deadly and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(1, 8, 8, dtype=torch.uint8), self.targets[index]


def train(folder: Path, data: Any) -> Any:
    settings = {"epochs": 1, "batch_size": 2}
    return cnncalc.train(NET, data=data, output=folder, settings=settings, device="cpu")


# PyTorch looks for room for open files when a worker is gone. Told of its death just then, it
# leaves a temporary file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_worker_that_dies_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"a process that reads images has died \(") as caught:
        train(tmp_path / "run", Pictures(deadly=5))
    assert "\n" not in str(caught.value)
    assert not active_children()


def test_workers_end_with_what_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        assert active_children()
        raise KeyboardInterrupt

    monkeypatch.setattr(Learner, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(tmp_path / "run", Pictures())
    assert caught.tb is not None  # it holds on to what was going on
    assert not active_children()


def test_a_worker_that_dies_while_it_hands_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    loader: Any = DataLoader([*range(4)], num_workers=1, worker_init_fn=leave_signals)
    read = read_ahead(loader)
    next(read)
    monkeypatch.setattr(_MultiProcessingDataLoaderIter, "_next_data", broken)
    with pytest.raises(TrainingError, match=r"has died \(while it handed images over\)"):
        next(read)
    assert not active_children()


def slow_to_begin(number: int) -> None:
    time.sleep(0.3)
    leave_signals(number)


def test_news_of_a_death_while_workers_end_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch raises it from the handler of a signal, wherever Python is."""
    shut_down, told = _MultiProcessingDataLoaderIter._shutdown_workers, []

    def interrupted(self: Any) -> None:
        told.append(None)
        if len(told) == 1:
            raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
        shut_down(self)

    monkeypatch.setattr(_MultiProcessingDataLoaderIter, "_shutdown_workers", interrupted)
    loader: Any = DataLoader([*range(40)], num_workers=2, worker_init_fn=leave_signals)
    read = read_ahead(loader)
    next(read)
    held = read.gi_frame.f_locals["batches"]  # as a traceback would
    assert len(active_children()) == 2
    read.close()
    left = active_children()
    for child in left:
        child.kill()
    assert (len(told), left, held._shutdown) == (2, [], True)


def test_a_signal_finds_workers_that_only_begin() -> None:
    def signal_all() -> None:
        while not (children := active_children()):
            time.sleep(0.01)
        for child in children:
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(int(child.pid or 0), number)

    loader: Any = DataLoader([*range(8)], num_workers=1, worker_init_fn=slow_to_begin)
    thread = threading.Thread(target=signal_all)
    thread.start()
    with none_missed():
        read = [int(number) for number in read_ahead(loader)]
    thread.join()
    assert read == [*range(8)]
    assert not active_children()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Killed. ", r"died \(killed by signal: K"),
        (
            "DataLoader worker (pid(s) 7, 8) exited unexpectedly",
            r"died \(exited unexpectedly\): me",
        ),
        (
            "Caught\nRuntimeError: unable to allocate shared memory(shm) for file",
            "no room in /dev/",
        ),
        ("something else", "something else"),
    ],
)
def test_what_is_said(said: str, message: str) -> None:
    with (
        pytest.raises(RuntimeError if said in message else TrainingError, match=message),
        none_missed(),
    ):
        raise RuntimeError(said)
