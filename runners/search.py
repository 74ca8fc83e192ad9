"""The run loop: step until the budget ends, look up the truth, checkpoint, write the file.

Searches in the table are handed to ``runners.tabular``, which runs hundreds at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nasbench_eval.cell import Cell
from nasbench_eval.methods import SearchContext, SearchMethod
from nasbench_eval.runs.store import TEST_ACC, Run, read_run, write_run
from nasbench_eval.utils.rng import Streams
from runners import device as device_info
from runners import tabular
from runners.checkpoints import load_checkpoint, save_checkpoint
from runners.context import Environment
from runners.lookup import train_note, with_truth
from runners.record import make_record
from runners.spec import RunSpec

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData

Progress = Callable[[int, Mapping[str, Any]], None]
"""Called after each step with the number of steps done and the row recorded."""


def finished(spec: RunSpec, env: Environment) -> Run | None:
    """Return a spec's complete run, or None.

    A run that was looked up in another table, or in none, is looked up again in this one: the search need not be
    repeated for that. A run without the trained truth that is asked for does not count as complete.
    """
    if spec.implementation.needs == "table":
        return tabular.stored([spec], env).get(spec.run_id)
    path = env.run_file(spec)
    if not path.is_file():
        return None
    run = read_run(path)
    if env.truth == "train" and run.record.truth != "train":
        return None
    if env.table is not None and run.record.truth != "train":
        facts = env.table.facts()
        if run.record.table is None or run.record.table.content_hash != facts.content_hash:
            rows = with_truth(run.steps.to_dict("records"), env.table)  # type: ignore[arg-type]
            record = replace(run.record, truth="table", truth_note=env.table.note, table=facts)
            run = Run(record, _frame(rows))
            write_run(path.parent, run)
    return run


def execute(
    spec: RunSpec, env: Environment, images: ImageData | None, on_step: Progress = lambda done, row: None
) -> Run:
    """Run a spec to its end, from its checkpoint if there is one, and write its file.

    Args:
        spec: What to run.
        env: Where, and what the truth is.
        images: The search's data set, for methods that need one.
        on_step: Called after every step.

    Raises:
        NbevalError: If the checkpoint cannot be read or a file cannot be written.
    """
    if spec.implementation.needs == "table":
        return tabular.run_variant([spec], env)[0]
    device_info.make_deterministic(env.device)
    context = SearchContext(dataset=spec.search_dataset, streams=Streams(spec.seed), images=images, device=env.device)
    method = spec.implementation(spec.settings, context)  # type: ignore[call-arg]
    path = env.checkpoint(spec)
    state = load_checkpoint(path)
    rows: list[dict[str, Any]] = []
    started = device_info.now()
    if state is not None:
        method.load_state_dict(state["method"])
        rows, started = state["rows"], state["started"]
        if env.table is not None:
            rows = with_truth(rows, env.table)  # the interrupted command may have had another table, or none
        on_step(len(rows), rows[-1])
    while not _spent(method, rows):
        info = method.step()
        row = _row(method, len(rows), info.seconds, rows, info.metrics)
        limit = method.budget.seconds
        if limit is not None and row["total_seconds"] > limit:
            break  # a step that overruns the budget does not count
        if env.table is not None:
            row |= env.table.look_up(method.incumbent())
        rows.append(row)
        save_checkpoint(path, {"method": method.state_dict(), "rows": rows, "started": started})
        on_step(len(rows), row)
    note = env.table.note if env.table is not None else "not looked up"
    if env.training is not None:
        assert images is not None
        note = _train(spec, env, images, rows)
    record = make_record(spec, env, method, images, truth_note=note, started=started, finished=device_info.now())
    run = Run(record, _frame(rows))
    artifact = method.artifact()
    if artifact is not None:
        save_checkpoint(env.artifact(spec.run_id), artifact)
    write_run(env.run_file(spec).parent, run)  # last: a finished run has all that belongs to it
    path.unlink(missing_ok=True)
    return run


def _spent(method: SearchMethod, rows: list[dict[str, Any]]) -> bool:
    limit = method.budget.steps
    return limit is not None and len(rows) >= limit


def _row(
    method: SearchMethod, step: int, seconds: float, rows: list[dict[str, Any]], metrics: Mapping[str, float]
) -> dict[str, Any]:
    cell = method.incumbent()
    return {
        "step": step,
        "cell": str(cell),
        "seconds": seconds,
        "total_seconds": seconds + (rows[-1]["total_seconds"] if rows else 0.0),
        **metrics,
        **{f"n_{name}": count for name, count in cell.counts().items()},
    }


def _train(spec: RunSpec, env: Environment, images: ImageData, rows: list[dict[str, Any]]) -> str:
    """Train the final cell from scratch, enter its accuracy into the last row, and say how in words."""
    from nasbench_eval.training.from_scratch import train_from_scratch
    from nasbench_eval.training.recipes import TrainingSettings

    assert env.training is not None
    cell = Cell.parse(rows[-1]["cell"])
    accuracy = train_from_scratch(cell, images, env.training, Streams(spec.seed), device=env.device)
    column = f"{TEST_ACC}{spec.search_dataset}"
    for row in rows:
        row[column] = float("nan")
    rows[-1][column] = accuracy
    return train_note(env.training, TrainingSettings(), images)


def _frame(rows: list[dict[str, Any]]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows)
