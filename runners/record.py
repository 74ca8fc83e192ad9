"""The record of a finished run, the same for every kind of search."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench_eval.errors import Diverged
from nasbench_eval.methods import SearchMethod
from nasbench_eval.runs.failures import Failure, failure_file, read_failure
from nasbench_eval.runs.store import RunRecord
from runners.device import describe, now, versions
from runners.spec import RunSpec
from runners.threads import threads

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from runners.context import RunContext


_SIDE_BY_SIDE = ", {} searches side by side"


def plain_device(device: str) -> str:
    """Return the device of a record without how many searches ran side by side."""
    return re.sub(_SIDE_BY_SIDE.format(r"\d+") + "$", "", device)


def other_images(record: RunRecord, split: str, images: ImageData) -> str | None:
    """Return, in words, on which other images a run searched; None if on these, or if it does not say.

    Args:
        record: The record of the run.
        split: Which of the images would train what, in words, as in the facts of its method.
        images: The data set that there is now.
    """
    if record.split != split:
        return f"searched on other images ({record.split}) than these ({split})"
    if record.images and record.images != images.digest:
        return "searched on other images than these, which are split in the same way"
    return None


def recorded_scale(spec: RunSpec, truth: str = "") -> str:
    """Return the scale of a search; it cuts networks and images, which a tabular one does not have."""
    cut = not spec.is_tabular and (spec.is_scaled or truth == "train")  # it cuts the training from scratch too
    return spec.scale if cut else "full"


def make_failure(spec: RunSpec, error: Diverged) -> Failure:
    """Return the record of a run that diverged."""
    return Failure(
        run_id=spec.run_id,
        variant_id=spec.variant_id,
        method=spec.method,
        title=spec.preset.title,
        search_dataset=spec.search_dataset,
        seed=spec.seed,
        settings=spec.values,
        scale=recorded_scale(spec),
        step=error.step,
        cause=error.cause,
        versions=versions() | ({"method": spec.source} if spec.source else {}),
        finished=now(),
        overrides=spec.changed,
    )


def stored_failure(spec: RunSpec, results_dir: Path) -> Failure | None:
    """Return the failure of a spec that was run before, or None: repeated, the run would diverge again."""
    path = failure_file(results_dir, spec.method, spec.search_dataset, spec.seed, spec.run_id)
    return read_failure(path) if path.is_file() else None


def make_record(
    spec: RunSpec,
    context: RunContext,
    method: SearchMethod,
    images: ImageData | None,
    *,
    truth_note: str,
    started: str,
    finished: str,
    continues: str = "",
    code: Sequence[str] = (),
    devices: Sequence[str] = (),
) -> RunRecord:
    """Return the record of a run.

    Args:
        spec: What ran.
        context: Where it ran, and where the true accuracies came from.
        method: The method after its search.
        images: The search's data set; None for a tabular search.
        truth_note: In words, what the true accuracies are.
        started: ISO 8601, UTC.
        finished: ISO 8601, UTC.
        continues: The id of the finished run whose steps it took over; empty if none.
        code: The versions of nbeval that took its steps, if not only this one.
        devices: The devices that took its steps, if not only this one.
    """
    sizes = {} if images is None else {"train_images": len(images.train), "valid_images": len(images.valid)}
    measured = method.cost_kind == "measured"
    facts, table = method.facts, context.tables.get(spec.search_dataset)
    others = _SIDE_BY_SIDE.format(context.side_by_side) if context.side_by_side > 1 else ""
    return RunRecord(
        run_id=spec.run_id,
        variant_id=spec.variant_id,
        method=spec.method,
        title=spec.preset.title,
        block=spec.preset.block,
        search_dataset=spec.search_dataset,
        seed=spec.seed,
        settings=spec.values,
        overrides=spec.changed,
        reductions=spec.reductions(sizes),
        scale=recorded_scale(spec, context.truth),
        cost_kind=method.cost_kind,
        device=("; ".join(devices) or describe(context.device)) + others if measured else "",
        threads=threads() if measured else 1,
        split=facts.get("split", ""),
        batch_norm=facts.get("batch_norm", ""),
        truth=context.truth,
        truth_note=truth_note,
        table=None if table is None else table.facts(),
        versions=versions(code) | ({"method": spec.source} if spec.source else {}),
        started=started,
        finished=finished,
        continues=continues,
        images="" if images is None else images.digest,
    )
