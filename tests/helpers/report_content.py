"""A page of ``nbeval report`` with everything that a page can have, from hand-made runs with hostile texts."""

from __future__ import annotations

from dataclasses import replace

from analysis_runs import SMALL, make_run

from nasbench_eval.analysis.claims import judge, read_claims
from nasbench_eval.report.page import Question, build_page, render
from nasbench_eval.report.provenance import Provenance, SettingRow
from nasbench_eval.runs.failures import Failure

EVIL = '<script>alert("x")</script>'

RUNS = [
    *(make_run({"cifar10": 93.0 + s, "cifar100": 70.125}, seed=s) for s in (0, 1)),
    *(make_run({"cifar10": 80.5 + s, "cifar100": 50.0}, seed=s, **SMALL) for s in (0, 1)),
    make_run({"cifar10": 88.25}, method="mine:Class", title=EVIL, overrides={"lr": EVIL}, split=f"half {EVIL}"),
    *(
        make_run({"cifar10": 60 + s}, seed=s, method="rea", title="REA", block="standard HPO", cost_kind="simulated")
        for s in range(30)
    ),
]
"""GDAS full and reduced, a method of the user's, and thirty seeds of a tabular search."""

VARIANTS = {run.record.title: run.record.variant_id for run in RUNS if run.record.scale == "full"}
FAILURE = Failure("ab", "cd", "gdas", EVIL, "cifar10", 7, {}, "full", 4, "train_loss is <b>nan</b>", {}, "2026-01-01")
CLAIMS = (
    ("better", {"text": f"GDAS is better than REA {EVIL} at `epochs`", "against": "rea", "figure": "Figure 5"}),
    ("better", {"text": "GDAS is better than DARTS", "against": "darts"}),
    ("within_noise_of_optimum", {"text": "GDAS comes within the noise of the optimum"}),
)


def page_text() -> str:
    """Return the page."""
    tables = [{"test": test, "method": "gdas", "dataset": "cifar10", **rest} for test, rest in CLAIMS]
    rows = [("channels", "4", True), ("epochs", "16", True), ("tau", "1", False)]
    settings = tuple(SettingRow(name, value, "16", "table 1", "what it means", used) for name, value, used in rows)
    page = build_page(
        RUNS,
        [FAILURE, replace(FAILURE, variant_id=VARIANTS["GDAS"], seed=1, cause="an earlier try")],
        {VARIANTS["GDAS"]: Provenance(EVIL, "Paper <i>A</i>", settings, f"nbeval run {EVIL}", f"Note {EVIL}")},
        question=Question(f"A study {EVIL}", f"Who wins {EVIL}?", (f"Runs of `gdas` {EVIL}",)),
        verdicts=judge(read_claims(tables), RUNS, scales=["full"]),
        reference="rea",
        command=f"nbeval report --study {EVIL}",
    )
    return render(page)
