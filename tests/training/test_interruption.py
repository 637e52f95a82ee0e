"""Signals: the first asks, the second breaks off, and the handlers are put back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from recpref.training.interruption import graceful_interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_the_trainer_to_stop(number: signal.Signals) -> None:
    """No exception inside; afterwards the handlers are as before."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    trainer = SimpleNamespace(should_stop=False, callbacks=[])
    with graceful_interrupt(trainer) as interrupted:
        assert not interrupted.is_set()
        os.kill(os.getpid(), number)
        assert interrupted.wait(2)
        assert trainer.should_stop is True
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture
def listening() -> Iterator[None]:
    """Python's own answer to Ctrl-C, which processes started in the background do without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_a_second_ctrl_c_interrupts_at_once() -> None:
    """Whoever presses twice means it."""
    before = signal.getsignal(signal.SIGINT)
    trainer = SimpleNamespace(should_stop=False, callbacks=[])

    def press_twice() -> None:
        with graceful_interrupt(trainer) as interrupted:
            os.kill(os.getpid(), signal.SIGINT)
            interrupted.wait(2)
            os.kill(os.getpid(), signal.SIGINT)
            interrupted.clear()
            interrupted.wait(2)

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert signal.getsignal(signal.SIGINT) == before


def test_no_handler_is_set_outside_of_the_main_thread() -> None:
    """Python allows handlers in the main thread only; training in another one still works."""
    seen: list[bool] = []

    def work() -> None:
        with graceful_interrupt(SimpleNamespace(should_stop=False, callbacks=[])) as interrupted:
            seen.append(interrupted.is_set())

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
    assert signal.getsignal(signal.SIGINT) == before


def test_handlers_are_restored_after_an_error() -> None:
    """An exception in training leaves Ctrl-C as it was."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="broken"), graceful_interrupt(SimpleNamespace(should_stop=False, callbacks=[])):
        raise RuntimeError("broken")
    assert signal.getsignal(signal.SIGINT) == before
