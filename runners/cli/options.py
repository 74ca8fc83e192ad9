"""Options that several commands share."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nasbench_eval.errors import UsageError
from runners.cli.path_type import PathType
from runners.step_log import LOGS
from runners.threads import MOST

if TYPE_CHECKING:
    from runners.context import Inputs, Truth
    from runners.executors import Executor
    from runners.progress import Reporter
    from runners.study import Study

Command = TypeVar("Command", bound=Callable[..., Any])

device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
TABLE_DEFAULT = "[default: NBEVAL_TABLE, else the user cache folder; for digits the one in the package]"
data_option = click.option(
    "--data",
    type=PathType(),
    help="Folder of the image data sets.  [default: the first of NBEVAL_DATA, TORCH_HOME and the user cache folder "
    "that has them]",
)
where_option = click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only runs with this setting or fact: arch_lr=4, scale=full, 'method!=rs,rea', 'seed<3', ... (with quotes for "
    "the shell); may be repeated.",
)
method_option = click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME[,NAME...]",
    help="Only runs of these methods: short for --where method=NAME,...",
)
split_option = click.option(
    "--split",
    "--split-file",
    "split_file",
    metavar="official|seeded|FILE",
    type=PathType(),
    help="The official halves of each data set, seeded ones, or a split file.  [default: seeded for cifar10, official "
    "for cifar100 and imagenet16-120, whose test images are halved]",
)

_RUN_OPTIONS = (
    click.option("--seeds", help="A number of seeds (4), or a list of them (0,3,7).  [default: 1, or the study's]"),
    click.option(
        "--scale",
        help="full, small (a few minutes on a CPU) or shallow (small network, full schedule); results say so.  "
        "[default: full, or the study's]",
    ),
    click.option("--epochs", type=click.IntRange(min=1), help="The same as --set epochs=N."),
    click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting; may be repeated."),
    device_option,
    click.option(
        "--truth",
        type=click.Choice(["table", "train", "none"]),
        help="Where the final cell's true accuracy comes from; `train` trains it from scratch.  "
        "[default: table, or the study's]",
    ),
    click.option("--table", type=PathType(), help=f"The benchmark table.  {TABLE_DEFAULT}"),
    data_option,
    split_option,
    click.option("--fetch", is_flag=True, help="First download the table and the images that are missing."),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Searches in parallel, each in its own process with its share of the cores.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, MOST),
        help="CPU threads of a search.  [default: cores, or OMP_NUM_THREADS, / workers]",
    ),
    click.option(
        "--executor",
        "executor_name",
        type=click.Choice(["local", "slurm", "ray"]),
        default="local",
        show_default=True,
        help="Where searches that train run: this machine, Slurm jobs, a Ray cluster.",
    ),
    click.option(
        "--executor-option",
        "executor_options",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one option of the executor (docs/clusters.md); may be repeated.",
    ),
    click.option("--detach", is_flag=True, help="With --executor slurm: submit the jobs and return."),
    click.option("--wait", is_flag=True, help="Wait for runs that other commands are at work on; else leave them out."),
    click.option(
        "--log",
        type=click.Choice(LOGS),
        help="Also write every epoch to RESULTS/logs for TensorBoard, which has to be installed.",
    ),
    click.option(
        "--results",
        "results_dir",
        type=PathType(),
        default=Path("results"),
        show_default=True,
        help="Results folder.",
    ),
    click.option(
        "--progress",
        type=click.Choice(["auto", "bars", "plain", "none"]),
        default="auto",
        show_default=True,
        help="Bars on a terminal, plain lines elsewhere, or nothing.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object per event on stdout, nothing else."),
    click.option("-v", "--verbose", count=True, help="Say more; twice: everything."),
    click.option("-q", "--quiet", is_flag=True, help="Only errors and the summary."),
)


def names(values: tuple[str, ...]) -> list[str]:
    """Return the names in comma-separated lists."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def run_options(command: Command) -> Command:
    """Add the options that say how runs are made; their values are the fields of :class:`RunOptions`."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class RunOptions:
    """How runs are made, as the options say it; None where an option was not given."""

    seeds: str | None
    scale: str | None
    epochs: int | None
    overrides: tuple[str, ...]
    device: str
    truth: Truth | None
    table: Path | None
    data: Path | None
    split_file: Path | None
    fetch: bool
    workers: int
    threads: int | None
    executor_name: str
    executor_options: tuple[str, ...]
    detach: bool
    wait: bool
    log: str | None
    results_dir: Path
    progress: str
    as_json: bool
    verbose: int
    quiet: bool

    @property
    def changes(self) -> dict[str, Any]:
        """The settings that ``--set`` and ``--epochs`` change.

        Raises:
            UsageError: If a text is no assignment, or both say how many epochs.
        """
        from runners.spec import parse_overrides

        changes = parse_overrides(self.overrides)
        if self.epochs is not None:
            if "epochs" in changes:
                raise UsageError("--epochs and --set epochs=... say the same: give one of them")
            changes["epochs"] = self.epochs
        return changes

    def inputs(self, study: Study | None = None) -> Inputs:
        """Return the inputs of the runs; a study's truth, split and scale count where no option says otherwise."""
        from runners.context import Inputs

        scale = self.scale
        if scale is None:
            scale = "full" if study is None else study.training_scale
        truth, split_file = (
            (self.truth or "table", self.split_file) if study is None else (study.truth, study.split_file)
        )
        where = (self.results_dir, self.device, truth, self.table, self.data, split_file)
        elsewhere = self.executor_name != "local"
        return Inputs(*where, scale, self.workers, self.log, self.threads, elsewhere=elsewhere)

    def executor(self) -> Executor:
        """Return what runs the searches that train.

        Raises:
            UsageError: If an option is unknown or does not fit.
            NbevalError: If the package that it needs is not installed.
        """
        from runners.executors import make_executor
        from runners.spec import parse_overrides

        if self.detach and self.executor_name != "slurm":
            raise UsageError("--detach leaves the jobs to Slurm: give it with --executor slurm")
        values = parse_overrides(self.executor_options, "--executor-option")
        return make_executor(self.executor_name, values | ({"detach": True} if self.detach else {}))

    def reporter(self) -> Reporter:
        """Return what shows the progress; messages of the logger ``nbeval`` go to stderr until the command ends.

        Raises:
            UsageError: If options contradict each other.
        """
        from runners.progress.views import make_reporter

        if self.verbose and self.quiet:
            raise UsageError("-v says more and -q says less: give one of them")
        levels = (logging.WARNING, logging.INFO, logging.DEBUG)
        log_to_stderr(logging.ERROR if self.quiet else levels[min(self.verbose, 2)])
        return make_reporter("none" if self.quiet else self.progress, as_json=self.as_json)

    def study(self, name: str, datasets: str | None) -> Study:
        """Return a study with what the options change.

        Args:
            name: Its name, or the path of its file.
            datasets: Comma-separated search data sets to keep, or ``all``; None for all.

        Raises:
            UsageError: If there is no such study, or it or an option does not fit.
        """
        from runners.spec import parse_seeds
        from runners.study import load_study

        kept = [] if datasets in (None, "all") else names((str(datasets),))
        if not kept and datasets not in (None, "all"):
            raise UsageError("--dataset names no data set: leave it out for all of the study")
        return load_study(name).changed(
            seeds=None if self.seeds is None else parse_seeds(self.seeds),
            scale=self.scale,
            datasets=kept,
            settings=self.changes,
            split_file=self.split_file,
            truth=self.truth,
        )


def log_to_stderr(level: int) -> None:
    """Print messages of the logger ``nbeval``, from this level on, to stderr until the command ends."""
    logger, handler = logging.getLogger("nbeval"), _Stderr()
    before = logger.level
    handler.setFormatter(logging.Formatter("nbeval: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)

    def end() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before)

    click.get_current_context().call_on_close(end)


class _Stderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)  # above progress bars, if there are any
