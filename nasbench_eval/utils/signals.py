"""Being asked to stop by SIGTERM, as batch systems do: the step at hand is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopped(KeyboardInterrupt):
    """The process was asked to stop."""


def _nothing() -> None: ...


_asked = False
_in_steps = False
_before_waiting: Callable[[], None] = _nothing


@contextmanager
def stoppable(before_waiting: Callable[[], None] = _nothing) -> Iterator[None]:
    """Raise ``Stopped`` when the process gets SIGTERM, unless the caller of the program has its own way with it.

    Args:
        before_waiting: Called where a step has to be finished first; in a signal handler, so it may not use buffered
            output.
    """
    global _asked, _before_waiting
    if not (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, _on_sigterm)
    _before_waiting = before_waiting
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _asked, _before_waiting = False, _nothing


@contextmanager
def step_by_step() -> Iterator[None]:
    """Leave a first SIGTERM to ``stop_if_asked``, which is called between two steps; a second one stops at once."""
    global _in_steps
    with stoppable():
        before, _in_steps = _in_steps, True
        try:
            yield
        finally:
            _in_steps = before


def ask() -> None:
    """Ask this process to stop after the step at hand; for handlers of signals.

    Raises:
        Stopped: If no steps are being taken.
    """
    global _asked
    _asked = True
    if not _in_steps:
        raise Stopped


def asked() -> bool:
    """Return whether this process was asked to stop."""
    return _asked


def say_waiting() -> None:
    """Tell the user that the process was asked to stop and waits for steps to be finished."""
    _before_waiting()


def stop_if_asked() -> None:
    """Stop here if this process was asked to.

    Raises:
        Stopped: If it was.
    """
    if _asked:
        raise Stopped


def _on_sigterm(number: int, frame: Any) -> None:
    stop_if_asked()
    ask()
    say_waiting()
