"""Locks of a results folder: one owner at a time, whoever dies, on whichever host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from permissions import locked

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.files import atomic_write
from runners import locks
from runners.locks import Lock, LockLost, Owner


def lock(home: Path) -> Lock:
    return Lock(home, "run", "rs digits seed 0")


def file_of(home: Path) -> Path:
    [path] = (home / "locks").iterdir()
    return path


def change(path: Path, **values: object) -> None:
    """Change what a lock says of its owner."""
    owner = json.loads(path.read_text()) | values
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(owner))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """This process's monotonic clock, moved by hand."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_one_has_it_and_nothing_is_left(tmp_path: Path) -> None:
    with lock(tmp_path) as mine:
        assert mine.take() is None
        owner = lock(tmp_path).take()
        assert owner is not None
        assert (owner.what, owner.pid) == ("rs digits seed 0", os.getpid())
        assert owner.words == f"process {os.getpid()} on {owner.host}"
        mine.require_held()
        other = Lock(tmp_path, "run2", "")
        assert other.take() is None
        other.release()
        mine.require_held()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "end",
    [
        lambda process: process.wait(),
        lambda process: os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT),  # ended, and not yet waited for
    ],
    ids=["gone", "zombie"],
)
def test_what_a_process_of_this_host_leaves_is_taken_over_at_once(
    tmp_path: Path, end: Callable[[subprocess.Popen[bytes]], object]
) -> None:
    assert lock(tmp_path).take() is None
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        change(file_of(tmp_path), pid=process.pid, start=locks._started(process.pid), token="of the other")
        assert lock(tmp_path).take() is not None
        process.kill()
        end(process)
        with lock(tmp_path) as mine:
            assert mine.take() is None
            mine.require_held()


def test_a_process_that_got_the_number_of_a_dead_one_is_not_the_owner(tmp_path: Path) -> None:
    assert lock(tmp_path).take() is None
    change(file_of(tmp_path), start="1")
    assert lock(tmp_path).take() is None


def test_the_time_at_which_a_process_started_tells_it_from_another(tmp_path: Path) -> None:
    """The number of the dead owner went to a process that is there, and that began later."""
    assert lock(tmp_path).take() is None
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        change(file_of(tmp_path), pid=process.pid)
        owner = lock(tmp_path).take()
        process.kill()
    assert owner is None


def test_a_process_number_means_nothing_on_another_host(tmp_path: Path, clock: list[float]) -> None:
    """Only the heartbeat counts there, as it is seen here: neither the clock of that host nor of the file server."""
    assert lock(tmp_path).take() is None
    change(file_of(tmp_path), pid=2**22 + 1, machine="another")
    mine, path = lock(tmp_path), file_of(tmp_path)
    assert mine.take(patient=False) is not None
    assert mine.is_undecided
    clock[0] += locks.STALE - 1
    for moment in (0, 4e9, 1e9):  # 1970, 2096, 2001
        os.utime(path, (moment, moment))
        assert mine.take() is not None
        assert not mine.is_undecided
        clock[0] += locks.STALE - 1
        assert mine.take() is not None
    clock[0] += 2
    assert mine.take() is None
    assert file_of(tmp_path) != path
    mine.release()
    assert not list(tmp_path.iterdir())


def test_the_next_owner_on_another_host_has_to_give_a_sign_of_life_of_its_own(
    tmp_path: Path, clock: list[float]
) -> None:
    """That the one before it was alive says nothing: it may have died as soon as it had the lock."""
    assert lock(tmp_path).take() is None
    mine, path = lock(tmp_path), file_of(tmp_path)
    change(path, machine="another")
    assert mine.take(patient=False) is not None
    os.utime(path, (0, 0))
    assert mine.take() is not None
    assert not mine.is_undecided
    change(path, token="of the next")
    assert mine.take(patient=False) is not None
    assert mine.is_undecided
    clock[0] += locks.STALE + 1
    assert mine.take() is None


def test_a_lock_that_its_owner_did_not_finish_writing_is_watched(tmp_path: Path, clock: list[float]) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "run.1.lock").write_text('{"what"')
    mine = lock(tmp_path)
    owner = mine.take(patient=False)
    assert owner is not None
    assert owner.words == "a process that cannot be told"
    clock[0] += locks.STALE + 1
    assert mine.take() is None


def test_a_heart_beats_while_the_owner_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT", 0.001)
    with lock(tmp_path) as mine:
        assert mine.take() is None
        path = file_of(tmp_path)
        os.utime(path, (0, 0))
        while path.stat().st_mtime == 0:
            time.sleep(0.001)


def test_an_owner_that_wakes_up_too_late_loses_it_and_leaves_the_new_one_alone(
    tmp_path: Path, clock: list[float]
) -> None:
    late, new = lock(tmp_path), lock(tmp_path)
    assert late.take() is None
    change(file_of(tmp_path), machine="another")
    assert new.take(patient=False) is not None
    clock[0] += locks.STALE + 1
    assert new.take() is None
    with pytest.raises(LockLost, match="rs digits seed 0: this process was suspended"):
        late.require_held()
    late.release()
    new.require_held()
    new.release()
    # Also when the new owner's file happens to have the same name.
    assert late.take() is None
    change(file_of(tmp_path), token="of the next")
    late.release()
    assert file_of(tmp_path).exists()


def test_a_taker_that_is_overtaken_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner that it takes for dead is back, gives the lock back, and another one takes it, all in between."""
    first, second, taker = lock(tmp_path), lock(tmp_path), lock(tmp_path)
    assert first.take() is None
    monkeypatch.setattr(Owner, "is_running", False)
    write = locks._write

    def overtaken(path: Path, owner: Owner) -> bool:
        monkeypatch.setattr(locks, "_write", write)
        monkeypatch.undo()
        first.release()
        assert second.take() is None
        return write(path, owner)

    monkeypatch.setattr(locks, "_write", overtaken)
    assert taker.take() is not None
    second.require_held()
    second.release()
    assert not list(tmp_path.iterdir())


def test_who_comes_late_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It saw no lock; before it creates one, another process has taken the lock and died, and a third has it now."""
    first, second, late = lock(tmp_path), lock(tmp_path), lock(tmp_path)
    write = locks._write

    def overtaken(path: Path, owner: Owner) -> bool:
        monkeypatch.setattr(locks, "_write", write)
        assert first.take() is None
        change(file_of(tmp_path), start="1")
        assert second.take() is None
        return write(path, owner)

    monkeypatch.setattr(locks, "_write", overtaken)
    assert late.take() is not None
    second.require_held()
    second.release()
    assert not list(tmp_path.iterdir())


def test_of_many_takers_of_a_dead_lock_one_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "POLL", 0.0001)
    holders: list[int] = []
    together: list[int] = []

    def work(number: int) -> None:
        for turn in range(6):
            mine = lock(tmp_path)
            assert mine.take(wait=True) is None
            holders.append(number)
            time.sleep(0.0001)
            together.append(len(holders))
            mine.require_held()
            holders.remove(number)
            if turn % 2:
                assert mine._mine is not None
                change(mine._mine[0], start="1")  # it dies
            else:
                mine.release()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert together == [1] * 48


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(NbevalError, match=r"cannot read .*locks: Permission denied"):
        lock(tmp_path).take()
    (tmp_path / "locks").touch()
    with pytest.raises(NbevalError, match="locks is a file, and has to be a folder"), lock(tmp_path) as held:
        held.take()


def test_a_link_to_a_disk_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """Such a lock was tried to be written for ever."""
    (tmp_path / "results").symlink_to(tmp_path / "unmounted" / "results")
    with pytest.raises(NbevalError, match=r"results is a link to .*/unmounted/results: make that folder first"):
        lock(tmp_path / "results").take()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b'{"pid": 1}', None, 10**30])
def test_a_lock_that_holds_something_else_belongs_to_nobody_known(
    tmp_path: Path, content: bytes | int | None, clock: list[float]
) -> None:
    held = lock(tmp_path)
    held.take()
    if isinstance(content, bytes):
        file_of(tmp_path).write_bytes(content)
    else:
        change(file_of(tmp_path), pid=content)
    [(owner, _)] = locks.owners(tmp_path).values()
    assert (owner.pid, owner.is_local and owner.is_running) == (content if isinstance(content, int) else 0, False)
    held.release()


def test_a_heart_stops_when_another_owner_has_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would keep the next owner alive after its death, for as long as this process runs."""
    mine = lock(tmp_path)
    assert mine.take() is None
    path = file_of(tmp_path)
    change(path, token="of the next")
    os.utime(path, (0, 0))
    monkeypatch.setattr(locks, "HEARTBEAT", 0.001)
    assert mine._mine is not None
    stop = threading.Event()
    heart = threading.Thread(target=locks._beat, args=(path, mine._mine[1], stop), daemon=True)
    heart.start()
    heart.join(20)
    beating = heart.is_alive()
    stop.set()
    assert not beating
    assert path.stat().st_mtime == 0
