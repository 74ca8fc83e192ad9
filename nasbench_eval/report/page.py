"""The page: everything it says, in the order in which it says it, and its rendering as HTML."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import pandas as pd

from nasbench_eval import __version__
from nasbench_eval.analysis.against import against
from nasbench_eval.analysis.against_table import left_out
from nasbench_eval.analysis.against_table import notes as against_notes
from nasbench_eval.analysis.agreement import agreement
from nasbench_eval.analysis.claims import Verdict
from nasbench_eval.analysis.comparison_notes import noted_comparison
from nasbench_eval.analysis.figures import FIGURES, NothingToDraw, View
from nasbench_eval.analysis.figures.inline import InlineFigure, inline_figure
from nasbench_eval.analysis.labels import brief, distinct_runs, divergence_notes, is_reduced, labels
from nasbench_eval.analysis.order import dataset_order, run_order
from nasbench_eval.report import cells
from nasbench_eval.report.provenance import Provenance
from nasbench_eval.report.results import comparison_table, failure_table, run_tables, variant_link
from nasbench_eval.report.table import WORDS, Column, Entry, Table, csv_uri, entries
from nasbench_eval.report.verdicts import (
    ClaimVerdict,
    against_table,
    agreement_table,
    claim_notes,
    claim_verdicts,
    tally,
)
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run, RunRecord, by_variant
from nasbench_eval.utils.files import shortened


@dataclass(frozen=True)
class Question:
    """What the page answers.

    Attributes:
        title: The title of the page.
        question: The question, in a sentence.
        text: What the reader should know about it, in paragraphs; words between backticks are code.
    """

    title: str
    question: str
    text: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """One variant: its runs, how they were made, and the cells they found."""

    link: str
    label: str
    record: RunRecord
    seeds: str
    made: Provenance | None
    cells: cells.VariantCells
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PageFigure:
    """A figure with the numbers behind it."""

    drawn: InlineFigure
    csv: str
    n_rows: int


@dataclass(frozen=True)
class Differences:
    """Every variant's difference from one method: the label of this method, the table, and what it cannot show."""

    reference: str
    table: Table
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """Everything that the page says.

    Attributes:
        question: What it answers.
        verdicts: The claims with their verdicts.
        verdict_tally: How many claims have which verdict.
        verdict_notes: Sentences about the numbers of the claims.
        agreement: Published numbers beside measured ones; None if none was published.
        agreement_tally: How many published numbers have which verdict.
        differences: Every variant's difference from one method; None if there is nothing to compare.
        facts: The study in numbers: name and value.
        cautions: What the reader must know before any number.
        comparison: The table of results.
        notes: Sentences about the comparison.
        figures: The figures that the runs allow.
        variants: The variants in the order of the papers' tables.
        runs: The tables of runs.
        failures: The runs that diverged.
        environment: Where the runs were made.
        command: The command that makes the page again.
    """

    question: Question
    verdicts: tuple[ClaimVerdict, ...]
    verdict_tally: tuple[tuple[str, int], ...]
    verdict_notes: tuple[str, ...]
    agreement: Table | None
    agreement_tally: tuple[tuple[str, int], ...]
    differences: Differences | None
    facts: tuple[tuple[str, str], ...]
    cautions: tuple[str, ...]
    comparison: Table
    notes: tuple[str, ...]
    figures: tuple[PageFigure, ...]
    variants: tuple[Variant, ...]
    runs: tuple[Table, ...]
    failures: Table | None
    environment: Table
    command: str


def build_page(
    runs: Sequence[Run],
    failures: Sequence[Failure],
    provenance: Mapping[str, Provenance],
    *,
    question: Question | None = None,
    verdicts: Sequence[Verdict] = (),
    published: pd.DataFrame | None = None,
    reference: str = "",
    datasets: Sequence[str] = (),
    command: str = "",
) -> Page:
    """Put together everything that the page says.

    Args:
        runs: Runs as they were read.
        failures: Runs that diverged.
        provenance: How the runs were made, by ``variant_id``.
        question: What the page answers; without one it says what is compared.
        verdicts: The verdicts on claims.
        published: The comparison with published numbers; by default ``agreement.agreement`` of the runs.
        reference: The method from which to give every variant's difference, as ``against.against`` takes it; empty for
            none.
        datasets: Evaluated data sets to show; empty for all.
        command: The command that makes the page again.

    Raises:
        NbevalError: If the runs have no result on the data sets, or ``reference`` is none of them.
    """
    compared = noted_comparison(runs, failures=failures, datasets=datasets)
    kept, _ = distinct_runs(runs)
    names = labels(kept)
    kept.sort(key=lambda run: (run_order(names)(run), run.record.seed))
    complete = {(run.record.variant_id, run.record.seed) for run in kept}
    lost = [each for each in failures if (each.variant_id, each.seed) not in complete]
    diverged = divergence_notes(lost, kept)
    beside = agreement(kept, lost) if published is None else published
    beside = beside[beside["dataset"].isin(list(datasets))] if datasets else beside
    differences = _differences(kept, reference, datasets)
    return Page(
        question=question or _default_question(kept),
        verdicts=claim_verdicts(verdicts),
        verdict_tally=tally(each.word for each in verdicts),
        verdict_notes=_sentences(claim_notes(verdicts, differences=differences is not None)),
        agreement=None if beside.empty else agreement_table(beside),
        agreement_tally=tally(beside["word"]),
        differences=differences,
        facts=_facts(kept, lost),
        cautions=_cautions(kept, names, diverged),
        comparison=comparison_table(compared),
        notes=_sentences(compared.notes),
        figures=_figures(kept, View(datasets, notes=diverged, against=reference)),
        variants=_variants(kept, names, provenance),
        runs=tuple(run_tables(kept)),
        failures=failure_table(lost),
        environment=_environment(kept),
        command=command,
    )


def _differences(runs: Sequence[Run], reference: str, datasets: Sequence[str]) -> Differences | None:
    if not reference:
        return None
    frame = against(runs, reference, datasets=datasets)
    if frame.empty:
        return None
    label = " and ".join(dict.fromkeys(frame["label_against"]))
    return Differences(
        label, against_table(frame), _sentences([*against_notes(frame), *left_out(frame, runs, datasets)])
    )


def _sentences(notes: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{note[0].upper()}{note[1:]}." for note in notes)


def _default_question(runs: Sequence[Run]) -> Question:
    searched = ", ".join(dataset_order(run.record.search_dataset for run in runs))
    titles = list(dict.fromkeys(run.record.title for run in runs))
    named = " and ".join(titles) if len(titles) < 3 else f"{len(titles)} methods"
    return Question(f"{named} on {searched}", "Which method finds the best cells, and by how much?")


def _facts(runs: Sequence[Run], failures: Sequence[Failure]) -> tuple[tuple[str, str], ...]:
    variants = Counter(run.record.variant_id for run in runs)
    seeds = sorted(set(variants.values()))
    reduced = sum(is_reduced(run.record) for run in runs)
    evaluated = dataset_order(name for run in runs for name in run.test_acc)
    dates = sorted(run.record.finished[:10] for run in runs)
    return (
        ("methods", f"{len({run.record.method for run in runs})}"),
        ("variants", f"{len(variants)}"),
        ("complete runs", f"{len(runs):,}"),
        ("seeds each", " to ".join(dict.fromkeys((f"{seeds[0]:,}", f"{seeds[-1]:,}")))),
        ("reduced runs", "all" if reduced == len(runs) else f"{reduced:,}" if reduced else "none"),
        ("diverged runs", f"{len(failures):,}" if failures else "none"),
        ("searched on", ", ".join(dataset_order(run.record.search_dataset for run in runs))),
        ("evaluated on", ", ".join(evaluated) or "nothing"),
        ("finished", " to ".join(dict.fromkeys((dates[0], dates[-1])))),
    )


def _cautions(runs: Sequence[Run], names: Mapping[str, str], diverged: Sequence[str]) -> tuple[str, ...]:
    said = []
    reduced = [run.record for run in runs if is_reduced(run.record)]
    if reduced:
        whose = "All runs are" if len(reduced) == len(runs) else f"{len(reduced):,} of {len(runs):,} runs are"
        shared = set.intersection(*(set(each.reductions) for each in reduced))
        words = "; ".join(each for each in reduced[0].reductions if each in shared).replace(" -> ", " → ")
        rest = any(set(each.reductions) != shared for each in reduced)
        further = " and more, which differs by method (see Methods and settings)" if rest else ""
        said.append(
            f"{whose} reduced: smaller than the published search, so they repeat no published number. Reduced are "
            f"{words or 'sizes'}{further}."
        )
    few = [key for key, n in Counter(run.record.variant_id for run in runs).items() if n < 4]
    if few:
        short = brief(names.values())
        whose = "Every variant has" if len(few) == len(names) else f"{', '.join(short[names[key]] for key in few)} have"
        said.append(f"{whose} fewer than four seeds: too few to rank methods that are close.")
    return (*said, *(f"{note}." for note in diverged))


def _figures(runs: Sequence[Run], view: View) -> tuple[PageFigure, ...]:
    made = []
    for name in FIGURES:
        if name == "cells":  # the page draws all cells itself, as drawings that say in words what they show
            continue
        try:
            drawn = inline_figure(name, runs, view)
        except NothingToDraw:
            continue
        made.append(PageFigure(drawn, csv_uri(drawn.frame), len(drawn.frame)))
    return tuple(made)


def _variants(
    runs: Sequence[Run], names: Mapping[str, str], provenance: Mapping[str, Provenance]
) -> tuple[Variant, ...]:
    several = len({run.record.search_dataset for run in runs}) > 1
    made = []
    for key, group in by_variant(runs).items():
        record = group[0].record
        made.append(
            Variant(
                link=variant_link(key),
                label=names[key] + (f", searched on {record.search_dataset}" if several else ""),
                record=record,
                seeds=f"{len(group):,} seed{'s' if len(group) > 1 else ''}",
                made=provenance.get(key),
                cells=cells.variant_cells(group),
                facts=_variant_facts(group),
            )
        )
    return tuple(made)


_KINDS_OF_COST = {"simulated": "simulated from the table", "measured": "measured"}


def _variant_facts(group: Sequence[Run]) -> tuple[tuple[str, str], ...]:
    record = group[0].record

    def each(values: Sequence[str]) -> str:
        return "; ".join(dict.fromkeys(value for value in values if value))

    facts = (
        ("data and split", record.split),
        ("images", each([shortened(run.record.images) for run in group if run.record.images])),
        ("BatchNorm of the supernet", record.batch_norm),
        ("reduced", "; ".join(record.reductions).replace(" -> ", " → ")),
        ("truth", each([run.record.truth_note or run.record.truth for run in group])),
        ("benchmark table", each([f"{t.name} {t.content_hash[:8]}" for run in group if (t := run.record.table)])),
        ("imported", record.imported and f"other code searched for these cells: {record.imported}"),
        ("cost", "as stated" if record.imported else _KINDS_OF_COST[record.cost_kind]),
        ("device", each([run.record.device for run in group])),
        ("threads", "" if record.imported else each([str(run.record.threads) for run in group])),
    )
    return tuple((name, value) for name, value in facts if value)


def _environment(runs: Sequence[Run]) -> Table:
    """Return the devices, threads and versions of the runs, one row for each that occurs."""
    found = Counter(
        (
            run.record.device or "none: simulated",
            run.record.threads,
            ", ".join(f"{name} {version}" for name, version in sorted(run.record.versions.items())),
        )
        for run in runs
        if not run.record.imported
    )
    columns = [Column("device"), Column("threads", number=True), Column("versions"), Column("runs", number=True)]
    rows = entries([[Entry(device), threads, versions, n] for (device, threads, versions), n in found.items()])
    return Table("environment", "The machines and packages that made the runs.", columns, rows)


def render(page: Page) -> str:
    """Return the page as HTML; texts from run files are escaped, and no address is loaded from anywhere."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    environment = Environment(
        loader=PackageLoader("nasbench_eval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # An odd number of backticks leaves the last one as it is.
    environment.filters["code"] = lambda text: Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))
    folder = files("nasbench_eval.report").joinpath("templates")
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    # Only this script may run, and nothing may be loaded: the browser sees to it, whatever a run file contains.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text: str = environment.get_template("page.html").render(
        page=page, style=style, script=script, script_hash=digest, words=WORDS, drawing=cells, version=__version__
    )
    return text
