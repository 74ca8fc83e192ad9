"""Write the tables of weight-sharing searches in the pages of the studies, from the committed runs.

    python docs/study_tables.py    # writes docs/study.md and docs/digits.md

A table that is made here follows a comment, ``<!-- study_tables.py: NAME -->``. Its header is written by hand, and so
are the rows without committed runs: those of searches in the benchmark table stay above the others, the optimum below.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nasbench_eval.analysis.claims import judge
from nasbench_eval.analysis.claims.quantities import QUANTITIES
from nasbench_eval.analysis.labels import labels
from nasbench_eval.analysis.layout import plus_minus
from nasbench_eval.analysis.order import run_order
from nasbench_eval.analysis.published import published_beside
from nasbench_eval.analysis.rank_correlation import rank_frame
from nasbench_eval.analysis.rank_notes import statistic_text
from nasbench_eval.analysis.statistics import summary
from nasbench_eval.cell import Cell
from nasbench_eval.equivalence import live_edges
from nasbench_eval.runs.store import Run, by_variant, load_runs
from runners.study import load_study

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "results" / "reference"
OPERATIONS = ("nor_conv_3x3", "nor_conv_1x1", "skip_connect", "avg_pool_3x3", "none")
NAS_BENCH_201 = ("cifar10", "cifar100", "imagenet16-120")


def title(run: Run) -> str:
    """The first cell of a row: method, and the choice about ``none`` if it is changed."""
    changed = run.record.overrides.get("zero_op")
    choice = "" if changed is None else f" {'with' if changed else 'without'} `none`"
    return f"{run.record.title}{choice}"


def operations(group: Sequence[Run]) -> str:
    """On how many edges of the final cells each operation is; a dash for ``none`` where it is no candidate."""
    last = [run.steps.iloc[-1] for run in group]
    counts = [str(int(sum(row[f"n_{op}"] for row in last))) for op in OPERATIONS]
    return " ".join(counts if group[0].record.settings["zero_op"] else [*counts[:-1], "-"])


def accuracy(group: Sequence[Run], dataset: str, *, published: bool = False) -> str:
    """Mean and sample standard deviation in percent; in brackets the published mean of the full method."""
    found = summary(tuple(run.test_acc[dataset] for run in group))
    text = plus_minus(found["mean"], found["std"])
    record = group[0].record
    where = {"search_dataset": record.search_dataset, "dataset": dataset, "protocol": "transfer"}
    mean = published_beside(method=record.method, **where).get("published_mean") if published else None
    return text if mean is None else f"{text} [{mean:.2f}]"


def each_seed(group: Sequence[Run], dataset: str) -> str:
    """The accuracies of the seeds in percent, from low to high."""
    return ", ".join(f"{value:.2f}" for value in sorted(run.test_acc[dataset] for run in group))


def cost(group: Sequence[Run]) -> float:
    """The cost of the cheapest seed in seconds."""
    return min(float(run.steps["total_seconds"].iloc[-1]) for run in group)


def ordered(runs: Sequence[Run]) -> list[Run]:
    """The runs in the order of ``nbeval compare``, seed by seed."""
    order = run_order(labels(runs))
    return sorted(runs, key=lambda run: (order(run), run.record.seed))


def of_variants(cells: Callable[[list[Run], float], list[str]]) -> Callable[[list[Run]], list[list[str]]]:
    """A table with one row per variant: ``cells`` gets its runs and its mean tau."""

    def rows(runs: list[Run]) -> list[list[str]]:
        frame = rank_frame(runs)
        taus = frame[frame["row"] == "variant"].set_index("variant_id")["kendall"]
        groups = by_variant(ordered(runs))
        return [
            [f"{title(group[0])}, reduced", *cells(group, float(taus.get(key, math.nan)))]
            for key, group in groups.items()
        ]

    return rows


def of_seeds(runs: list[Run]) -> list[list[str]]:
    """The table of a study with few runs: one row per seed, with entropy, discretisation gaps, tau and hours."""
    frame = rank_frame(runs)
    taus = {row["run_id"]: statistic_text(row, "kendall") for _, row in frame[frame["row"] == "run"].iterrows()}
    rows = []
    runs = ordered(runs)
    names = ("gap", "gap_batch", "gap_batch_all")
    gaps = zip(*(QUANTITIES[name].values(runs, "cifar10") for name in names), strict=True)
    for run, of_run in zip(runs, gaps, strict=True):
        last = run.steps.iloc[-1]
        candidates = len(OPERATIONS) if run.record.settings["zero_op"] else len(OPERATIONS) - 1
        rows.append(
            [
                title(run),
                str(run.record.seed),
                *(f"{run.test_acc[dataset]:.2f}" for dataset in NAS_BENCH_201),
                f"{operations([run])}{_live(last['cell'])}",
                f"{last['entropy'] / math.log(candidates):.3f}",
                *("" if math.isnan(gap) else f"{gap:.1f}" for gap in of_run),
                taus.get(run.record.run_id, ""),
                f"{cost([run]) / 3600:.1f}",
            ]
        )
    return rows


def _live(arch: str) -> str:
    """How many edges the output depends on, where other edges have an operation too."""
    cell = Cell.parse(arch)
    live = len(live_edges(cell))
    return f" ({live} live)" if live < len(cell.ops) - cell.counts()["none"] else ""


def of_claims(runs: list[Run]) -> list[list[str]]:
    """The claims of the study of the whole schedule, as ``nbeval reproduce`` judges them."""
    study = load_study("cifar10-shallow")
    verdicts = judge(study.claims, study.of(runs), scales=study.scales, variant_of=study.variant_of)
    return [[each.claim.text, each.word, each.sentence] for each in verdicts]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _later(dataset: str) -> Callable[[list[Run], float], list[str]]:
    columns = NAS_BENCH_201 if dataset in NAS_BENCH_201 else (dataset,)
    return lambda group, tau: [
        str(len(group)),
        *(accuracy(group, name) for name in columns),
        each_seed(group, dataset),
        operations(group),
        f"{cost(group) / 60:.1f} min",
    ]


def _digits(group: list[Run], tau: float) -> list[str]:
    found = [str(len(group)), accuracy(group, "digits"), each_seed(group, "digits"), operations(group), _number(tau)]
    return [*found, f"{cost(group):.0f} s"]


def _small(group: list[Run], tau: float) -> list[str]:
    accuracies = (accuracy(group, name, published=True) for name in NAS_BENCH_201)
    return [*accuracies, operations(group), _number(tau), f"{cost(group) / 60:.1f} min"]


def _beside_later(run: Run) -> bool:
    """The later methods on CIFAR-10, DARTS of the reduced study, and RS-WS with the cost of choosing counted once."""
    assert run.home is not None
    only = {"cifar10-small": "darts", "cifar10-small-released": "rs_ws"}
    return run.record.search_dataset == "cifar10" and run.record.method == only.get(run.home.name, run.record.method)


@dataclass(frozen=True)
class Table:
    """Where the runs of a table are, which of them count, and what makes its rows."""

    folders: Sequence[str]
    rows: Callable[[list[Run]], list[list[str]]]
    counts: Callable[[Run], bool] = lambda run: True

    def lines(self) -> list[str]:
        """The rows in Markdown."""
        runs = [run for run in load_runs([REFERENCE / name for name in self.folders]) if self.counts(run)]
        return [re.sub(r"\|  (?=\|)", "| ", f"| {' | '.join(row)} |") for row in self.rows(runs)]


TABLES = {
    "cifar10-shallow": Table(["cifar10-shallow"], of_seeds, lambda run: run.record.block == "weight sharing"),
    "claims": Table(["cifar10-shallow"], of_claims),
    "later-cifar10": Table(
        ["later-methods", "cifar10-small", "cifar10-small-released"], of_variants(_later("cifar10")), _beside_later
    ),
    "later-digits": Table(
        ["later-methods"], of_variants(_later("digits")), lambda run: run.record.search_dataset == "digits"
    ),
    "cifar10-small": Table(["cifar10-small"], of_variants(_small)),
    "digits-small": Table(["digits-small"], of_variants(_digits)),
}
"""By the name in the comment before the table."""

PAGES: dict[str, tuple[str, ...]] = {
    "docs/study.md": ("cifar10-shallow", "claims", "later-cifar10", "later-digits", "cifar10-small"),
    "docs/digits.md": ("digits-small",),
}
BY_HAND = ("REA", "RS", "REINFORCE", "BOHB", "optimum")
"""The first cells of rows that are not made here."""


def with_table(page: str, name: str, lines: Sequence[str]) -> str:
    """Return a page in which the rows of a table are replaced."""
    start = re.search(rf"^<!-- study_tables.py: {name} -->\n\n\|.*\n\|[ :|-]+\n", page, re.MULTILINE)
    assert start is not None, f"no table {name}"
    end = page.index("\n\n", start.end() - 1)
    kept = [line for line in page[start.end() : end].splitlines() if line.split("|")[1].strip() in BY_HAND]
    below = [line for line in kept if line.startswith("| optimum")]
    above = [line for line in kept if line not in below]
    return page[: start.end()] + "\n".join([*above, *lines, *below]) + page[end:]


def main() -> None:
    """Write the pages."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for path, names in PAGES.items():
        page = ROOT / path
        before = text = page.read_text(encoding="utf-8")
        for name in names:
            text = with_table(text, name, TABLES[name].lines())
        if text != before:
            page.write_text(text, encoding="utf-8")
        print(f"{path}: {'unchanged' if text == before else 'written'}")


if __name__ == "__main__":
    main()
