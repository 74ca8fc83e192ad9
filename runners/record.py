"""What a finished run says of itself, the same for every kind of search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasbench_eval.methods import SearchMethod
from nasbench_eval.runs.store import RunRecord
from runners import device as device_info
from runners.spec import RunSpec

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from runners.context import Environment


def make_record(
    spec: RunSpec,
    env: Environment,
    method: SearchMethod,
    images: ImageData | None,
    *,
    truth_note: str,
    started: str,
    finished: str,
) -> RunRecord:
    """Return the record of a run.

    Args:
        spec: What ran.
        env: Where, and what the truth was.
        method: The method after its search.
        images: The search's data set, for methods that used one.
        truth_note: In words, how the true accuracies came about.
        started: ISO 8601, UTC.
        finished: ISO 8601, UTC.
    """
    sizes = {} if images is None else {"train_images": len(images.train), "valid_images": len(images.valid)}
    measured = method.cost_kind == "measured"
    facts = method.facts
    crowd = f", {env.workers} searches side by side" if env.workers > 1 else ""
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
        # A scale cuts networks and images: a search in the table has none.
        scale=spec.scale if measured else "full",
        cost_kind=method.cost_kind,
        device=device_info.describe(env.device) + crowd if measured else "",
        threads=device_info.threads() if measured else 1,
        split=facts.get("split", ""),
        batch_norm=facts.get("batch_norm", ""),
        truth=env.truth,
        truth_note=truth_note,
        table=None if env.table is None else env.table.facts(),
        versions=device_info.versions() | ({"method": spec.source} if spec.source else {}),
        started=started,
        finished=finished,
    )
