"""A search that begins as a finished run did takes over its steps, and goes on with what it left."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from nasbench_eval.methods import SearchMethod
from nasbench_eval.runs.store import TEST_ACC, Run, RunRecord, read_run
from runners.checkpoints import artifact_file, load_checkpoint, using
from runners.context import RunContext
from runners.device import describe
from runners.record import other_images, plain_device
from runners.spec import RunSpec
from runners.threads import threads

logger = logging.getLogger("nbeval")


def continue_finished(spec: RunSpec, context: RunContext, method: SearchMethod) -> Run | None:
    """Bring a method to the end of the finished run with which its search begins, and return that run.

    The search then gives what it would give from the start: the run must have had the same images, device and threads.

    Args:
        spec: The search.
        context: Where its results are.
        method: Its method, before its first step.

    Returns:
        The run; None if the search begins as no other does, or that one has not been finished here.

    Raises:
        NbevalError: If a file of that run is damaged.
    """
    beginning = spec.beginning
    if beginning is None:
        return None
    path, kept = context.run_file(beginning), artifact_file(context.results_dir, beginning.run_id)
    if not (path.is_file() and kept.is_file()):
        return None
    run, what, advice = read_run(path), "file of shared weights", "delete it to search from the start"
    artifact = load_checkpoint(kept, what, advice)
    assert artifact is not None
    if (other := _differs(run.record, artifact, context, method)) is not None:
        logger.info("%s is searched from the start: run %s %s", spec.words, run.record.run_id, other)
        return None
    with using(kept, what, advice):
        method.continue_from(artifact)
    logger.info("%s continues run %s after epoch %d", spec.words, run.record.run_id, len(run.steps))
    return run


def _differs(record: RunRecord, artifact: dict[str, Any], context: RunContext, method: SearchMethod) -> str | None:
    """Return why a search cannot continue a run; None if it can."""
    images = context.images(record.search_dataset)
    if (other := other_images(record, method.facts.get("split", ""), images)) is not None:
        return other
    if plain_device(record.device) != describe(context.device) or record.threads != threads():
        return f"was made with {record.device}, threads: {record.threads}"
    if "architecture" not in artifact:
        return "kept its supernet without the architecture: it was made before nbeval kept both"
    return None


def rows_of(run: Run) -> list[dict[str, Any]]:
    """Return the rows of a run as its search recorded them, without true accuracies."""
    known = [
        {str(name): value for name, value in row.items() if value == value} for row in run.steps.to_dict("records")
    ]
    return without_truth(known)


def without_truth(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without true accuracies."""
    return [{name: value for name, value in row.items() if not name.startswith(TEST_ACC)} for row in rows]
