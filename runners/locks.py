"""Locks in a results folder: of several commands, on one host or many, only one at a time works on a run.

A lock is a file ``locks/NAME.GENERATION.lock`` that names its owner. It is created exclusively (``O_EXCL``), which
local file systems and NFS (version 3 and later) do in one step, and its owner touches it every ``HEARTBEAT`` seconds.

**When an owner is dead.** An owner on this host is dead as soon as its process is gone; the time at which the process
started tells it from another one with the same number. Any other owner is dead when its heartbeat has not been seen
to move for ``STALE`` seconds of this process's own monotonic clock. No clock of a host or file server is compared with
another one, so they may differ and jump.

**Taking over.** Whoever takes over generation n creates generation n + 1 exclusively, which only one of several can.
It owns the lock if generation n still names the dead owner and none above n + 1 is there; then it removes n. So there
is always a file at the lock while somebody has it, and no step replaces or renames the file of another owner.
(``filelock.SoftFileLease`` swaps two names instead, in one step that the NFS client of Linux does not have.)
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.checks import from_plain
from nasbench_eval.utils.files import make_folder
from nasbench_eval.utils.paths import unreadable
from runners.device import now

FOLDER = "locks"
HEARTBEAT = 10.0
"""Seconds between two signs of life of an owner."""
STALE = 60.0
"""Seconds without a sign of life after which an owner counts as dead."""
POLL = 0.5
"""Seconds between two looks at a lock that somebody else has."""


@dataclass(frozen=True)
class Owner:
    """Who has a lock.

    Attributes:
        what: What the lock is for, in words.
        host: The name of the host.
        pid: The number of the process; 0 if the file of the lock cannot be read.
        since: When it took the lock, ISO 8601, UTC.
        machine: What tells hosts, their starts and their containers apart: process numbers mean something only there.
        start: When the process started, as the system counts; empty if unknown.
        token: Drawn for this owner alone.
    """

    what: str
    host: str
    pid: int
    since: str
    machine: str
    start: str
    token: str

    @property
    def words(self) -> str:
        """Which process it is."""
        return f"process {self.pid} on {self.host}" if self.pid else "a process that cannot be told"

    @property
    def is_local(self) -> bool:
        """Whether it ran on this host, so that its process can be looked for."""
        return self.pid > 0 and self.machine == _machine()

    @property
    def is_running(self) -> bool:
        """Whether a local owner's process is there."""
        with suppress(PermissionError):  # it is there, and another user's
            try:
                os.kill(self.pid, 0)
            except (ProcessLookupError, OverflowError):  # no process has such a number
                return False
        return _started(self.pid) in (self.start, "")


class Lock:
    """The lock of one run, or of other work, as this process sees it.

    Args:
        home: The folder whose work is locked; the lock is in ``locks/`` below it.
        name: A name for file names, such as a run's id.
        what: What the lock is for, in words.
    """

    def __init__(self, home: Path, name: str, what: str) -> None:
        self._folder, self._name, self._what = home / FOLDER, name, what
        self._seen: tuple[str, int] | None = None
        self._moved = 0.0  # when the heartbeat was first seen to be as it is
        self._alive: bool | None = None
        self._mine: tuple[Path, Owner] | None = None
        self._stop = threading.Event()

    def look(self) -> Owner | None:
        """Return the owner, or None if nobody has the lock; a dead owner's lock is removed."""
        path, _ = self._highest()
        if path is None or (found := _read(path)) is None:
            return None
        if not self._is_dead(*found):
            return found[0]
        owner = self._try()
        self.release()
        return owner

    def take(self, *, patient: bool = True, wait: bool = False) -> Owner | None:
        """Take the lock and return None; if somebody else has it, return its owner.

        Args:
            patient: Whether to wait until the owner has given a sign of life, or is known to be dead.
            wait: Whether to wait until the lock is free.

        Raises:
            NbevalError: If the lock cannot be written.
        """
        while (owner := self._try()) is not None and (wait or (patient and self._alive is None)):
            time.sleep(POLL)
        return owner

    @property
    def is_undecided(self) -> bool:
        """Whether the owner last returned has not yet been seen to be alive."""
        return self._alive is None

    def require_held(self) -> None:
        """Check that the lock still is this process's: others take it if the process was suspended for a minute.

        Raises:
            LockLost: If somebody else has it.
        """
        assert self._mine is not None
        path, owner = self._mine
        if (found := _read(path)) is None or found[0].token != owner.token:
            raise LockLost(
                f"{self._what}: this process was suspended for so long that another one took over; "
                "what it did since its last checkpoint is dropped"
            )

    def release(self) -> None:
        """Give the lock back, and leave nothing in the folder."""
        if self._mine is None:
            return
        path, owner = self._mine
        self._mine = None
        self._stop.set()
        with suppress(OSError, NbevalError):
            if (found := _read(path)) is not None and found[0].token == owner.token:
                path.unlink()
        with suppress(OSError):  # other locks are there
            self._folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _try(self) -> Owner | None:
        """Take the lock if it is free, or its owner is dead; otherwise return the owner."""
        while True:
            path, generation = self._highest()
            found = None if path is None else _read(path)
            if found is not None and not self._is_dead(*found):
                return found[0]
            released_meanwhile = path is not None and found is None
            if not released_meanwhile and self._create(generation + 1, path, None if found is None else found[0]):
                return None
            time.sleep(0.01)  # others come and go; NFS may show them a little later

    def _is_dead(self, owner: Owner, beat: int) -> bool:
        if owner.is_local:
            self._alive = owner.is_running
            return not self._alive
        if self._seen is None or self._seen[0] != owner.token:
            self._alive = None
        elif self._seen[1] != beat:
            self._alive = True
        if self._seen != (owner.token, beat):
            self._seen, self._moved = (owner.token, beat), time.monotonic()
        return time.monotonic() - self._moved > STALE

    def _create(self, generation: int, below: Path | None, dead: Owner | None) -> bool:
        """Create a generation of the lock, and return whether that made this process the owner."""
        path = self._path(generation)
        mine = Owner(
            self._what, platform.node(), os.getpid(), now(), _machine(), _started(os.getpid()), secrets.token_hex(8)
        )
        self._mine, self._stop = (path, mine), threading.Event()  # first, so that `release` clears up whatever happens
        if not _write(path, mine):
            self._mine = None
            return False
        highest, _ = self._highest()
        is_first = below is None or ((found := _read(below)) is not None and found[0] == dead)
        if highest != path or not is_first:
            self._mine = None
            path.unlink(missing_ok=True)
            return False
        if below is not None:
            below.unlink(missing_ok=True)
        threading.Thread(target=_beat, args=(path, mine, self._stop), daemon=True).start()
        return True

    def _path(self, generation: int) -> Path:
        return self._folder / f"{self._name}.{generation}.lock"

    def _highest(self) -> tuple[Path | None, int]:
        generations = _generations(self._folder).get(self._name, [])
        return (self._path(max(generations)), max(generations)) if generations else (None, 0)


class LockLost(NbevalError):
    """Another process took over a lock that this one had."""


def owners(home: Path) -> dict[str, tuple[Owner, float]]:
    """Return who has which lock in a folder, by its name, and the seconds since the owner's last sign of life.

    Only looks. The seconds are those between two clocks, and an owner may be dead: they are for people to read.
    """
    found = {}
    for name, generations in _generations(home / FOLDER).items():
        read = _read(home / FOLDER / f"{name}.{max(generations)}.lock")
        if read is not None:
            owner, beat = read
            found[name] = owner, max(time.time() - beat / 1e9, 0.0)
    return found


def _generations(folder: Path) -> dict[str, list[int]]:
    """Return the generations of every lock in a folder, by name."""
    try:
        paths = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise unreadable(folder, error) from None
    found: dict[str, list[int]] = {}
    for path in paths:
        name, _, generation = path.stem.rpartition(".")
        if path.suffix == ".lock" and generation.isdecimal():
            found.setdefault(name, []).append(int(generation))
    return found


def _write(path: Path, owner: Owner) -> bool:
    """Create the file of a lock; return whether it was not there."""
    text = json.dumps(dataclasses.asdict(owner)).encode()
    try:
        handle = None
        while handle is None:
            # The owner of another lock may remove the folder at any moment.
            with suppress(FileExistsError):
                make_folder(path.parent)
            with suppress(FileNotFoundError):
                try:
                    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
                except FileExistsError:
                    return False
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise NbevalError(f"cannot write {path}: {error.strerror or error}; nothing was changed there") from error
    return True


def _read(path: Path) -> tuple[Owner, int] | None:
    """Return the owner that a lock names and when it was last touched; None if there is no such file."""
    try:
        # NFS asks the server for the state of a file that is opened, not of one that is only looked at.
        with path.open("rb") as file:
            beat = os.fstat(file.fileno()).st_mtime_ns
            text = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        return from_plain(Owner, json.loads(text)), beat
    except (ValueError, TypeError):
        # Killed while it wrote the file, or still writing.
        return Owner("", "", 0, "", "", "", ""), beat


def _beat(path: Path, owner: Owner, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        with suppress(OSError, NbevalError):  # a file server that does not answer may answer the next time
            if (found := _read(path)) is None or found[0].token != owner.token:
                return
            os.utime(path)


def _machine() -> str:
    """Return what is the same for two processes only if they can see each other's process numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # not Linux
        return platform.node()
    return f"{platform.node()} {boot} {space}"


def _started(pid: int) -> str:
    """Return when a process started, in the ticks that Linux counts; empty if the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The name of the program, in brackets, may hold spaces and brackets. Field 3 is the state, field 22 the start.
    state, *fields = text[text.rindex(")") + 2 :].split()
    return "ended" if state == "Z" else fields[18]
