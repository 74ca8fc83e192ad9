"""Runs that failed: what ran, at which step it diverged, and why. A failure is recorded beside results, never as one.

A failure is a JSON file in ``failed/`` of the results folder, named like the run file that it takes the place of. Its
``sha256`` is the checksum of all else in it; records made before December 2026 have none.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasbench_eval.runs.store import home_of, run_file_name
from nasbench_eval.utils.checks import from_plain
from nasbench_eval.utils.files import atomic_write, checksum, reading, verify_checksum
from nasbench_eval.utils.paths import files_in, files_under, is_dir

FAILURE_SCHEMA = 1
FOLDER = "failed"


@dataclass(frozen=True)
class Failure:
    """A run that ended without a result.

    Attributes:
        run_id: Hash of the resolved spec including the seed.
        variant_id: The same hash without the seed.
        method: The preset's name.
        title: The name that tables print.
        search_dataset: What the search trained on or queried.
        seed: The seed.
        settings: Every setting with its value.
        scale: ``full`` or the name of the reduction.
        step: The number of steps that had finished before.
        cause: Why it failed, such as ``train_loss is nan``.
        versions: Package versions.
        finished: When it failed, ISO 8601, UTC.
        overrides: The settings that the user changed; records made before December 2026 do not say.
    """

    run_id: str
    variant_id: str
    method: str
    title: str
    search_dataset: str
    seed: int
    settings: Mapping[str, Any]
    scale: str
    step: int
    cause: str
    versions: Mapping[str, str]
    finished: str
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """One sentence for messages."""
        return f"{self.method} {self.search_dataset} seed {self.seed} diverged in step {self.step + 1}: {self.cause}"


def failure_file(results_dir: Path, method: str, search_dataset: str, seed: int, run_id: str) -> Path:
    """Return the path of the failure of a run."""
    name = run_file_name(method, search_dataset, seed, run_id).removesuffix(".parquet")
    return results_dir / FOLDER / f"{name}.json"


def write_failure(results_dir: Path, failure: Failure) -> Path:
    """Write a failure atomically and return its path."""
    path = failure_file(results_dir, failure.method, failure.search_dataset, failure.seed, failure.run_id)
    values = {"schema": FAILURE_SCHEMA, **dataclasses.asdict(failure)}
    values["sha256"] = checksum(json.dumps(values, sort_keys=True))
    with atomic_write(path) as temporary:
        temporary.write_text(f"{json.dumps(values, indent=1, sort_keys=True)}\n", encoding="utf-8")
    return path


def read_failure(path: Path) -> Failure:
    """Read a failure.

    Raises:
        NbevalError: If the file is damaged, or of another version.
    """
    with reading(path, "record of a failed run", "delete it"):
        values = json.loads(path.read_text(encoding="utf-8"))
        verify_checksum(values.pop("sha256", None), json.dumps(values, sort_keys=True))
        if values.pop("schema") != FAILURE_SCHEMA:
            raise ValueError("written by another version of nbeval")
        return from_plain(Failure, values)


def load_failures(folders: Iterable[Path]) -> list[Failure]:
    """Read all failures beside the runs that ``load_runs`` reads from some folders.

    A folder ``runs`` has those of the results folder above it, a results folder its own, and any other folder those of
    all results folders in it.

    Raises:
        NbevalError: If a folder or file cannot be read.
    """
    paths: dict[Path, Path] = {}
    for folder in map(Path.absolute, folders):
        home = home_of(folder)
        if home is not None:
            found = files_in(home / FOLDER, ".json")
        elif is_dir(folder):
            found = [path for path in files_under(folder, ".json") if path.parent.name == FOLDER]
        else:
            found = []
        paths |= {path.resolve(): path for path in found}
    return [read_failure(path) for path in sorted(paths.values())]
