"""Find and remove what nobody needs in a results folder; nothing that a live process works with is touched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.failures import FOLDER as FAILED
from nasbench_eval.runs.rank_scores import rank_file
from nasbench_eval.utils.paths import files_in, is_dir
from runners import locks
from runners.checkpoints import artifact_file, checkpoint_file, training_file
from runners.locks import Lock
from runners.status import Folder

OWN = ("runs", "checkpoints", "trainings", FAILED, locks.FOLDER)
"""What a results folder has; a folder without any is somebody's."""

AT_ONCE = 50
"""So many locks are held at a time: the folder is read once for all of them."""


@dataclass(frozen=True)
class Leftover:
    """A file that can go.

    Attributes:
        path: The file.
        why: Why nobody needs it.
        lock: The name of the lock whose owner may need the file; empty if there is none.
    """

    path: Path
    why: str
    lock: str

    @property
    def size(self) -> int:
        """Its size in bytes; 0 if it is gone."""
        return self.path.stat().st_size if self.path.is_file() else 0


def leftovers(folder: Path, *, failed: bool = False) -> list[Leftover]:
    """Return the files in a results folder that nobody needs.

    Args:
        folder: The results folder.
        failed: Whether the records of failed runs are among them; the same command then runs them again.

    Raises:
        NbevalError: If there is no such folder, or a file in it cannot be read.
    """
    there = Folder(folder)
    if not any(is_dir(folder / name) for name in OWN):
        raise NbevalError(f"{folder} is no results folder: it has none of {', '.join(OWN)}")
    found = _not_needed(there)
    if failed:
        found += [
            Leftover(path, "record of a failed run", failure.run_id) for path, failure in there.failure_files.items()
        ]
    found += [
        Leftover(path, f"lock of {owner.words}, which seems to be dead", name)
        for name, (owner, _) in there.owners.items()
        for path in sorted((folder / locks.FOLDER).glob(f"{name}.*.lock"))
    ]
    return [each for each in found if not there.is_live(each.lock)]


def remove(folder: Path, found: list[Leftover]) -> list[Leftover]:
    """Remove files, and return those that a live process turned out to need."""
    kept = [each for each in found if not each.lock or each.path.parent.name == locks.FOLDER]
    kept = [each for each in kept if not _removed_alone(folder, each)]
    locked = [each for each in found if each.lock and each.path.parent.name != locks.FOLDER]
    names = list(dict.fromkeys(each.lock for each in locked))
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        with ExitStack() as stack:
            taken = {name: stack.enter_context(Lock(folder, name, "removing what is left of it")) for name in some}
            held = {name for name, lock in taken.items() if lock.take() is None}
            # Looked at again: a run may have ended, or begun again, since it was listed.
            can_go = _can_go(folder)
            for each in [each for each in locked if each.lock in taken]:
                if each.lock in held and each.path in can_go:
                    each.path.unlink(missing_ok=True)
                else:
                    kept.append(each)
    return kept


def _removed_alone(folder: Path, each: Leftover) -> bool:
    """Remove the lock of a dead process, or a file that has no lock; return whether it is gone."""
    if each.path.parent.name != locks.FOLDER:
        each.path.unlink(missing_ok=True)
        return True
    lock = Lock(folder, each.lock, "")
    while lock.look() is not None and lock.is_undecided:
        time.sleep(locks.POLL)  # on another host: whether its heartbeat has stopped has to be seen
    return not each.path.exists()


def _can_go(folder: Path) -> set[Path]:
    there = Folder(folder)
    return {each.path for each in _not_needed(there)} | set(there.failure_files)


def _not_needed(there: Folder) -> list[Leftover]:
    return [*_checkpoints(there), *_trainings(there), *_temporary(there), *_artifacts(there)]


def _checkpoints(there: Folder) -> Iterator[Leftover]:
    folder = checkpoint_file(there.path, "").parent
    for path in sorted([*files_in(folder, ".pt"), *files_in(folder, ".json")]):
        if path.name.startswith("."):
            continue
        if path.stem in there.done:
            yield Leftover(path, "checkpoint of a complete run", path.stem)
        elif path.stem in there.failed:
            yield Leftover(path, "checkpoint of a failed run", path.stem)
        elif path.suffix == ".json" and path.stem not in there.checkpoints:
            yield Leftover(path, "belongs to a checkpoint that is gone", path.stem)


def _trainings(there: Folder) -> Iterator[Leftover]:
    if not is_dir(there.path / "runs"):
        return
    for path in files_in(training_file(there.path, "").parent, ".pt"):
        record = there.done.get(path.stem)
        if record is not None and record.truth == "train":
            yield Leftover(path, "checkpoint of a complete training", path.stem)
        elif record is None and path.stem not in there.checkpoints and not path.name.startswith("."):
            yield Leftover(path, "training of a run that is gone", path.stem)


def _temporary(there: Folder) -> Iterator[Leftover]:
    """Yield the temporary files of writers that were killed; whoever writes without a lock needs less than a minute."""
    places = (*OWN, artifact_file(there.path, "").parent.name, rank_file(there.path, "").parent.name)
    for path in sorted(path for place in places for path in files_in(there.path / place, ".tmp")):
        [name, *_] = [*(name for name in there.owners if name.removesuffix("-rank") in path.name), ""]
        if name or time.time() - path.stat().st_mtime > locks.STALE:
            yield Leftover(path, "half-written file of a killed process", name)


def _artifacts(there: Folder) -> Iterator[Leftover]:
    if not is_dir(there.path / "runs"):  # such as a link to a disk that is not there
        return
    for path in files_in(artifact_file(there.path, "").parent, ".pt"):
        if path.stem not in there.done and path.stem not in there.checkpoints and not path.name.startswith("."):
            yield Leftover(path, "shared weights of a run that is gone", path.stem)
