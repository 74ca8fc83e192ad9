"""What ``nbeval run STUDY`` and ``nbeval reproduce`` share: fetching, running, scoring, and printing the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from nasbench_eval.errors import InUseError

if TYPE_CHECKING:
    from runners.context import Inputs
    from runners.executors import Executor
    from runners.outcome import Outcome
    from runners.progress import Reporter
    from runners.reproduce import Findings
    from runners.spec import RunSpec
    from runners.study import Study


def fetch_for(specs: Sequence[RunSpec], inputs: Inputs) -> None:
    """Download what runs need and this machine lacks."""
    import sys

    from runners import needs

    found = needs.missing_for(specs, inputs)
    needs.fetch(found, data=inputs.data, progress=sys.stderr.isatty(), say=lambda words: click.echo(words, err=True))


def run_and_score(study: Study, inputs: Inputs, reporter: Reporter, *, wait: bool, executor: Executor) -> Outcome:
    """Run what is missing of a study, and score the cells that it asks for."""
    from runners.reproduce import run_study, score_cells

    outcome = run_study(study, inputs, reporter, wait=wait, executor=executor)
    in_use, notes = score_cells(study, outcome.runs, inputs, reporter, wait=wait)
    for sentence in notes:
        click.echo(f"nbeval: {sentence}", err=True)
    return outcome._replace(in_use=[*outcome.in_use, *in_use])


def require_complete(outcome: Outcome, total: int) -> None:
    """Raise if runs ended with an error, or other commands are at work on some of them.

    Raises:
        RunError: It says what ended a run; of several, the others are printed.
        InUseError: It says who is at work on what.
    """
    from runners.outcome import in_use_words

    if outcome.broken:
        *others, last = outcome.broken
        for error in others:
            click.echo(f"nbeval: {error}", err=True)
        raise last
    if outcome.in_use:
        raise InUseError(
            f"{len(outcome.in_use)} of {total} runs are left out: {in_use_words(outcome.in_use)}; the "
            "same command with --wait waits for them"
        )


def findings_text(found: Findings) -> str:
    """Return the verdicts and the agreement with published numbers as text."""
    from nasbench_eval.analysis.verdict_text import agreement_text, verdict_text

    parts = [verdict_text(found.verdicts)] if found.verdicts else []
    parts += [] if found.agreement.empty else [agreement_text(found.agreement)]
    return "".join(f"\n{part}\n" for part in parts).rstrip("\n")
