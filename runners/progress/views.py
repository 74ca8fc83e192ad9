"""What shows events: bars on a terminal, plain lines, or lines of JSON."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from nasbench_eval.errors import ReaderGone
from runners.progress import Event, Reporter

if TYPE_CHECKING:
    from tqdm import tqdm

    from runners.search import Progress

LINE_EVERY = 30.0
"""Seconds between two plain lines about one search: a log file is to be readable."""


def make_reporter(progress: str = "auto", *, as_json: bool = False, on_step: Progress | None = None) -> Reporter:
    """Return what shows events.

    Args:
        progress: ``bars``, ``plain``, ``none``, or ``auto``: bars on a terminal, else plain lines.
        as_json: Whether to print JSON on stdout instead.
        on_step: Called after each step of a search, too.
    """
    if as_json:
        return JsonLines(sys.stdout, on_step)
    if progress == "auto":
        progress = "bars" if sys.stderr.isatty() else "plain"
    return {"bars": Bars, "plain": Lines, "none": Reporter}[progress](on_step)


class JsonLines(Reporter):
    """Writes each event as one line of JSON."""

    def __init__(self, file: TextIO, on_step: Progress | None = None) -> None:
        super().__init__(on_step)
        self._file, self._lock = file, threading.Lock()

    def emit(self, event: Event) -> None:
        """Write the event at once: somebody may be reading."""
        with self._lock, _to_reader(event):
            self._file.write(f"{json.dumps(event, default=_plain)}\n")
            self._file.flush()


class Lines(Reporter):
    """Results as lines on stdout; what goes on, now and then, as lines on stderr."""

    def __init__(self, on_step: Progress | None = None) -> None:
        super().__init__(on_step)
        self._lock = threading.RLock()
        self._said: dict[str, float] = {}  # when the last line about it was written, by title

    def emit(self, event: Event) -> None:
        """Write a line if the event is worth one."""
        with self._lock, _to_reader(event):
            self._show(event)

    def _show(self, event: Event) -> None:
        if (words := result_words(event)) is not None:
            self._say(words, sys.stdout)
        elif event["event"] == "log":
            logging.getLogger("nbeval").log(event["level"], "%s", event["message"])
        elif "done" in event:
            self._move(event)

    def _say(self, words: str, file: TextIO) -> None:
        print(words, file=file, flush=True)

    def _move(self, event: Event) -> None:
        """Show how far something is; the first line comes after a while, for what is quick needs none."""
        now = time.monotonic()
        if now - self._said.setdefault(event["title"], now) > LINE_EVERY:
            self._said[event["title"]] = now
            done, total = event["done"], event.get("total", event.get("steps"))
            of = "" if total is None else f" of {total}"
            detail = f": {state_words(event)}" if event["event"] == "step" else ""
            self._say(f"{event['title']}: {_unit(event)} {done}{of}{detail}", sys.stderr)


class Bars(Lines):
    """A bar for whatever goes on, and one for all searches; results as lines above them."""

    def __init__(self, on_step: Progress | None = None) -> None:
        super().__init__(on_step)
        self._bars: dict[str, tqdm[Any]] = {}  # by title

    def _show(self, event: Event) -> None:
        super()._show(event)
        kind, title = event["event"], event.get("title", "")
        if kind == "searches":
            bar = self._bar("searches", 0, "run")
            bar.total += event["total"]
            bar.refresh()
        elif kind == "begin":
            self._bar(title, event["steps"], event["unit"])
        elif kind == "end":
            self._close(title)
            self._bars["searches"].update()
        elif kind == "finish":
            for each in list(self._bars):
                self._close(each)

    def _move(self, event: Event) -> None:
        if event["event"] == "step" and event["title"] not in self._bars:
            return  # read after its search had ended
        done, total = event["done"], event.get("total", event.get("steps"))
        bar = self._bar(event["title"], total, _unit(event))
        if event["event"] == "step":
            bar.set_postfix_str(state_words(event), refresh=False)
        bar.total = total
        bar.update(done - bar.n)
        if event["event"] == "tabular" and done == total:
            self._close(event["title"])

    def _say(self, words: str, file: TextIO) -> None:
        from tqdm import tqdm

        tqdm.write(words, file=file)

    def _bar(self, title: str, total: int | None, unit: str) -> tqdm[Any]:
        from tqdm import tqdm

        if title not in self._bars:
            # A terminal shows only as many bars as it has lines; the others are counted in the first.
            full = len(self._bars) >= max(shutil.get_terminal_size().lines - 2, 1)
            self._bars[title] = tqdm(total=total, desc=title, unit=unit, dynamic_ncols=True, leave=False, disable=full)
        return self._bars[title]

    def _close(self, title: str) -> None:
        if (bar := self._bars.pop(title, None)) is not None:
            bar.close()


@contextmanager
def _to_reader(event: Event) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise (error if event["event"] == "finish" else ReaderGone(*error.args)) from None


def result_words(event: Event) -> str | None:
    """Return the line that says what became of something, or None for an event that is no result."""
    kind, title = event["event"], event.get("title", "")
    if kind == "known":
        return f"{title}: {'diverged before' if event['state'] == 'diverged' else 'complete already'}"
    if kind == "end":
        why = event.get("why")
        return f"{title}: {why}" if why else f"{title}: {state_words(event)}, {event['total_seconds']:.0f} s"
    if kind == "tabular" and event["done"] == event["total"]:
        before = f", {event['old']} of them before" if event["old"] else ""
        return f"{title}: {event['total']} runs complete{before}"
    if kind == "submitted":
        return f"submitted {event['runs']} searches in {event['where']}; their logs: {event['folder']}"
    if kind == "left":
        return f"{'waiting' if event['wait'] else 'left to others'}: {event['why']}"
    return None


def state_words(event: Event) -> str:
    """Return the current cell of a search and its true accuracy in words."""
    accuracy = event["test_acc"]
    return f"cell {event['cell']}" + ("" if accuracy is None else f", true test acc {accuracy:.2f}")


def _unit(event: Event) -> str:
    """Return what an event about something that goes on counts."""
    return str(event["unit"]) if event["event"] == "step" else {"tabular": "run", "cells": "cell"}[event["event"]]


def _plain(value: Any) -> Any:
    """Return a NumPy number as a Python one."""
    return value.item()
