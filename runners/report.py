"""Writing the report of some runs: what ``nbeval report`` and ``nbeval reproduce`` share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nasbench_eval.analysis.agreement import agreement
from nasbench_eval.analysis.claims import Verdict, judge
from nasbench_eval.analysis.labels import distinct_runs, labels
from nasbench_eval.analysis.layout import write_text
from nasbench_eval.analysis.order import dataset_order, run_order
from nasbench_eval.errors import UsageError
from nasbench_eval.report.page import Question, build_page, render
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run
from runners.provenance import provenance
from runners.study import Study

REFERENCE = "gaea_darts"
"""The method from which differences are given where neither the user nor a claim names one: that of the post."""


def write_report(
    path: Path,
    runs: Sequence[Run],
    failures: Sequence[Failure] = (),
    *,
    study: Study | None = None,
    datasets: Sequence[str] = (),
    reference: str = "",
    command: str = "",
) -> None:
    """Write the page about some runs.

    Args:
        path: The HTML file to write.
        runs: Runs as they were read.
        failures: Runs that diverged.
        study: The study whose question and claims the page answers.
        datasets: Evaluated data sets to show; empty for all.
        reference: The method from which to give differences, as ``against.against`` takes it; empty: that of the first
            claim that compares, else ``REFERENCE``.
        command: The command that makes the page again.

    Raises:
        NbevalError: If there is no result to show, or no run of ``reference``.
    """
    kept, _ = distinct_runs(runs)
    asked = None if study is None else [(spec.method, spec.search_dataset) for spec in study.specs]
    page = build_page(
        runs,
        failures,
        provenance(kept),
        question=None if study is None else _question(study),
        verdicts=[] if study is None else _verdicts(study, kept, failures),
        published=agreement(kept, failures, asked=asked),
        reference=reference or _reference(kept, study),
        datasets=datasets,
        command=command,
    )
    write_text(path, render(page))


def check_belongs(study: Study, runs: Sequence[Run]) -> str:
    """Check that some runs belong to a study, with whatever seeds and at whatever scale.

    Returns:
        Why no claim can be judged, where runs have its methods and data sets but other settings; else empty.

    Raises:
        UsageError: If no run has a method and search data set of the study.
    """
    variants = {spec.variant_id for each in _scaled(study, runs).values() for spec in each.changed(seeds=[0]).specs}
    if any(run.record.variant_id in variants for run in runs):
        return ""
    pairs = {(spec.method, spec.search_dataset) for spec in study.changed(seeds=[0]).specs}
    if any((run.record.method, run.record.search_dataset) in pairs for run in runs):
        return f"no run has the settings of the study {study.name}, so that its claims are not judged"
    searched = dataset_order(run.record.search_dataset for run in runs)
    its, there = f"search on {', '.join(study.datasets)}", f"on {', '.join(searched)}"
    if set(study.datasets) & set(searched):
        its, there = f"are of {', '.join(study.methods)}", f"of {', '.join({run.record.method: 0 for run in runs})}"
    raise UsageError(f"no run belongs to the study {study.name}: its runs {its}, these are {there}")


def _question(study: Study) -> Question:
    paragraphs = [" ".join(text.split()) for text in study.text.split("\n\n")]
    return Question(study.title, study.question, tuple(text for text in paragraphs if text))


def _verdicts(study: Study, runs: Sequence[Run], failures: Sequence[Failure]) -> list[Verdict]:
    return [
        verdict
        for scale, scaled in _scaled(study, runs).items()
        for verdict in judge(study.claims, runs, failures, scales=[scale], variant_of=scaled.variant_of)
    ]


def _scaled(study: Study, runs: Sequence[Run]) -> dict[str, Study]:
    """Return the study by those of its scales that runs have; where no run has one of them, at those of the runs."""
    there = list(dict.fromkeys(run.record.scale for run in runs if run.record.cost_kind == "measured"))
    scales = [scale for scale in study.scales if scale in there] or there or study.scales
    return {scale: study if scale in study.scales else study.changed(scale=scale) for scale in scales}


def _reference(runs: Sequence[Run], study: Study | None) -> str:
    """Return the label of the variant from which to give differences.

    Of those of a method that is the one searched on most data sets, then one with unchanged settings.
    """
    named = [method for claim in study.claims if claim.against for method in claim.method] if study else []
    names = labels(runs)
    for method in [*named, REFERENCE]:
        own = [run for run in runs if run.record.method == method]
        searched = {(names[run.record.variant_id], run.record.search_dataset) for run in own}
        wide = Counter(label for label, _ in searched)
        if own:
            chosen = min(
                own,
                key=lambda run: (
                    -wide[names[run.record.variant_id]],
                    bool(run.record.overrides),
                    run_order(names)(run),
                ),
            )
            return names[chosen.record.variant_id]
    return ""
