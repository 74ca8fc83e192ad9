"""``nbeval run``: searches, their truths, and a summary."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_eval.errors import UsageError, unknown

if TYPE_CHECKING:
    from nasbench_eval.analysis.store import Run
    from nasbench_eval.images import ImageData
    from runners.environment import Environment
    from runners.spec import RunSpec


@click.command()
@click.option("--method", "methods", required=True, metavar="NAME[,NAME...]|all", help="What to run: `nbeval methods`.")
@click.option("--dataset", "datasets", required=True, metavar="NAME[,NAME...]|all", help="What the search trains on.")
@click.option("--seeds", default="1", show_default=True, help="A number of seeds (4), or a list of them (0,3,7).")
@click.option("--scale", default="full", show_default=True, help="`small`: a reduced search for a CPU; results say so.")
@click.option("--epochs", type=click.IntRange(min=1), help="The same as --set epochs=N.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting; may be repeated.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--truth",
    type=click.Choice(["table", "train", "none"]),
    default="table",
    show_default=True,
    help="Where the derived cell's true accuracy comes from; `train` trains it from scratch.",
)
@click.option("--table", "table_path", type=click.Path(path_type=Path), help="The benchmark table [NBEVAL_TABLE].")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the image data sets [NBEVAL_DATA].")
@click.option("--split-file", type=click.Path(path_type=Path), help="Official split file, instead of seeded halves.")
@click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Results folder."
)
def run(
    methods: str,
    datasets: str,
    seeds: str,
    scale: str,
    epochs: int | None,
    overrides: tuple[str, ...],
    device: str,
    truth: str,
    table_path: Path | None,
    data: Path | None,
    split_file: Path | None,
    results: Path,
) -> None:
    """Run searches, look every derived cell up in the table, and print a summary.

    Runs that are complete are not repeated; one that was interrupted goes on after its last finished epoch. Every
    combination of method, data set and seed is a run.

    \b
        nbeval run --method gaea_darts --dataset cifar10 --seeds 4
        nbeval run --method gaea_darts,darts --dataset digits --scale small --truth train
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from runners.spec import parse_overrides, parse_seeds

    changes = parse_overrides(overrides)
    if epochs is not None:
        if "epochs" in changes:
            raise UsageError("--epochs and --set epochs=... say the same: give one of them")
        changes["epochs"] = epochs
    specs = _specs(methods, datasets, parse_seeds(seeds), scale, changes, truth, split_file)
    env = _environment(specs, results, device, truth, table_path, scale)
    _check(specs, env)
    runs = _execute(specs, env, data, split_file)
    from nasbench_eval.analysis.tables import render, report

    click.echo()
    if any(run.test_acc for run in runs):
        click.echo(render(report(runs), "text"))
    else:
        click.echo("no true accuracy is known; the cells found:")
        for found in runs:
            click.echo(f"  {found.record.title} seed {found.record.seed}: {found.steps.iloc[-1]['cell']}")


def _specs(
    methods: str,
    datasets: str,
    seeds: list[int],
    scale: str,
    changes: Mapping[str, Any],
    truth: str,
    split_file: Path | None,
) -> list[RunSpec]:
    from nasbench_eval.files import sha256_of
    from nasbench_eval.images import DATASETS
    from nasbench_eval.methods import load_method
    from runners.presets import load_preset, load_scale, preset_names
    from runners.spec import RunSpec

    load_scale(scale)
    names = _listed("method", methods, preset_names())
    if methods == "all" and truth != "table":
        names = [name for name in names if load_method(load_preset(name).implementation).needs == "images"]
    where = _listed("data set", datasets, list(DATASETS))
    if split_file is not None and not split_file.is_file():
        raise UsageError(f"--split-file {split_file}: there is no such file")
    split = sha256_of(split_file) if split_file is not None else ""
    specs = [RunSpec(m, d, seed, scale, changes, split) for m, d, seed in itertools.product(names, where, seeds)]
    for spec in specs:
        # Every setting is checked before the first search starts.
        _ = spec.run_id
    return specs


def _listed(kind: str, text: str, known: list[str]) -> list[str]:
    if text == "all":
        return known
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise UsageError(f"no {kind} given: known are {', '.join(known)}")
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    return names


def _environment(
    specs: list[RunSpec], results: Path, device: str, truth: str, table_path: Path | None, scale: str
) -> Environment:
    from nasbench_eval.table import Table, find_table
    from runners.environment import Environment
    from runners.truths import TableTruth, require_known

    table = training = None
    if truth == "table":
        table = TableTruth(Table.open(find_table(table_path)))
        require_known(table, [spec.search_dataset for spec in specs if spec.implementation.needs == "images"])
    elif table_path is not None:
        raise UsageError(f"--table is of no use with --truth {truth}")
    if truth == "train":
        from nasbench_eval.methods.settings import build_settings
        from nasbench_eval.truth import TrainingSettings
        from runners.presets import scaled

        training = build_settings(
            TrainingSettings, scaled(vars(TrainingSettings()), scale, "truth"), owner="--truth train"
        )
    where = "cpu"
    if any(spec.implementation.needs == "images" for spec in specs):
        from runners.machine import resolve_device

        where = resolve_device(device)
    return Environment(results=results, device=where, table=table, training=training)


def _check(specs: list[RunSpec], env: Environment) -> None:
    """Find what keeps a search in the table from running before the first search starts."""
    from runners.simulated import check

    for spec in {spec.variant_id: spec for spec in specs if spec.implementation.needs == "table"}.values():
        check(spec, env)


def _execute(specs: list[RunSpec], env: Environment, data: Path | None, split_file: Path | None) -> list[Run]:
    from functools import cache

    from nasbench_eval.images import load_images

    @cache
    def images_of(name: str) -> ImageData:
        return load_images(name, root=data, split_file=split_file)

    runs: list[Run] = []
    for _, group in itertools.groupby(specs, key=lambda spec: spec.variant_id):
        same = list(group)
        if same[0].implementation.needs == "table":
            runs += _simulated(same, env)
            continue
        for number, spec in enumerate(same, len(runs) + 1):
            title = f"[{number}/{len(specs)}] {spec.method} {spec.search_dataset} seed {spec.seed}"
            runs.append(_trained(spec, env, images_of, title))
    return runs


def _simulated(specs: list[RunSpec], env: Environment) -> list[Run]:
    from tqdm import tqdm

    from runners.simulated import run_variant

    new = 0
    title = f"{specs[0].method} {specs[0].search_dataset}"
    with tqdm(total=len(specs), desc=title, unit="run", dynamic_ncols=True, mininterval=_interval()) as bar:

        def show(run: Run, fresh: bool) -> None:
            nonlocal new
            new += fresh
            bar.update()

        runs = run_variant(specs, env, show)
        if new < len(specs):
            bar.set_postfix_str(f"{len(specs) - new} were complete already")
    return runs


def _trained(spec: RunSpec, env: Environment, images_of: Callable[[str], ImageData], title: str) -> Run:
    from tqdm import tqdm

    from runners.loop import execute, finished

    found = finished(spec, env)
    if found is not None:
        click.echo(f"{title}: complete already")
        return found
    total = spec.values.get("epochs")
    with tqdm(total=total, desc=title, unit="epoch", dynamic_ncols=True, mininterval=_interval()) as bar:

        def show(done: int, row: Mapping[str, Any]) -> None:
            bar.set_postfix_str(_current(row, spec), refresh=False)
            bar.update(done - bar.n)

        return execute(spec, env, images_of(spec.search_dataset), show)


def _interval() -> float:
    """Seconds between two states of a progress bar: a log file wants fewer than a terminal."""
    return 0.1 if sys.stderr.isatty() else 30.0


def _current(row: Mapping[str, Any], spec: RunSpec) -> str:
    from nasbench_eval.cell import Cell

    text = f"cell {Cell.parse(row['cell']).index}"
    accuracy = row.get(f"test_acc.{spec.search_dataset}")
    return text if accuracy is None else f"{text}, true test acc {accuracy:.2f}"
