"""Events of other processes: a worker appends them to a file in a folder, the command reads them as they come.

A folder is all that the processes of one machine and those of a cluster share.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runners.progress import Event, Reporter
from runners.progress.views import JsonLines

if TYPE_CHECKING:
    from runners.search import Progress

EVERY = 0.3
"""Seconds between two looks at the files."""


@contextmanager
def events_to(path: Path, on_step: Progress | None = None) -> Iterator[Reporter]:
    """Return a context whose value writes events to a file, and in which log messages are events, too.

    Args:
        path: The file.
        on_step: Called after each step, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("nbeval")
    with path.open("a", encoding="utf-8") as file:
        writer = _Writer(file, on_step)
        handler = _LogEvents(writer)
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)  # the command decides what it shows
        try:
            yield writer
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


@contextmanager
def following(folder: Path, reporter: Reporter) -> Iterator[Callable[[], None]]:
    """Pass the events in all files of a folder on to a reporter, now and then and when the context's value is called.

    Args:
        folder: Where workers write; it need not be there yet.
        reporter: Shows the events, in a thread of its own.
    """
    stop, reader = threading.Event(), _Reader(folder, reporter)

    def follow() -> None:
        with suppress(BrokenPipeError):  # nobody reads the output any more: the command itself will find out
            while not stop.wait(EVERY):
                reader.read()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield reader.read
    finally:
        stop.set()
        thread.join()
    reader.read()


class _Writer(JsonLines):
    def emit(self, event: Event) -> None:
        with suppress(OSError):  # a search does not end because its progress cannot be written
            super().emit(event)


class _LogEvents(logging.Handler):
    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        self._reporter.log(record.levelno, record.getMessage())


class _Reader:
    def __init__(self, folder: Path, reporter: Reporter) -> None:
        self._folder, self._reporter = folder, reporter
        self._read: dict[Path, int] = {}  # how many bytes of each file
        self._lock = threading.Lock()

    def read(self) -> None:
        """Pass on what is new."""
        with self._lock:
            for path in sorted(self._folder.glob("*.jsonl")):
                self._read_file(path)

    def _read_file(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            lines, _, _ = file.read().rpartition(b"\n")  # the last one may still be in the making
        for line in lines.splitlines():
            with suppress(ValueError):  # a line that a killed process left unfinished, and what came after it
                self._reporter.emit(json.loads(line))
        self._read[path] = self._read.get(path, 0) + len(lines) + bool(lines)
