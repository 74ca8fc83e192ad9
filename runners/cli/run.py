"""``nbeval run``: searches, their truths, and a summary."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sized
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_eval.errors import UsageError, unknown

if TYPE_CHECKING:
    from nasbench_eval.images import ImageData
    from nasbench_eval.runs.store import Run
    from runners.context import Environment
    from runners.inputs import Truth
    from runners.spec import RunSpec


@click.command()
@click.option(
    "--method",
    "methods",
    required=True,
    metavar="NAME[,NAME...]|all",
    help="What to run: `nbeval methods`, or a class of your own as MODULE:CLASS.",
)
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
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Searches side by side, each in a process of its own with its share of the cores.",
)
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
    truth: Truth,
    table_path: Path | None,
    data: Path | None,
    split_file: Path | None,
    workers: int,
    results: Path,
) -> None:
    """Run searches, look every derived cell up in the table, and print a summary.

    Runs that are complete are not repeated; one that was interrupted goes on after its last finished epoch. Every
    combination of method, data set and seed is a run.

    \b
        nbeval run --method gaea_darts --dataset cifar10 --seeds 4
        nbeval run --method gaea_darts,darts --dataset digits --scale small --truth train
        nbeval run --method all --dataset digits --scale small --seeds 2 --workers 4
        nbeval run --method my_method:CrossEntropy,rea --dataset cifar10 --seeds 500
    """  # noqa: D301 - click reads the control character: keep these lines as they are
    from runners.inputs import environments, image_loader, split_hash
    from runners.spec import parse_overrides, parse_seeds

    changes = parse_overrides(overrides)
    if epochs is not None:
        if "epochs" in changes:
            raise UsageError("--epochs and --set epochs=... say the same: give one of them")
        changes["epochs"] = epochs
    specs = _specs(methods, datasets, parse_seeds(seeds), scale, changes, truth, split_hash(split_file))
    places = partial(environments, results=results, device=device, truth=truth, table=table_path, scale=scale)
    envs = places(specs)
    done = _side_by_side(specs, envs, places, data, split_file, workers) if workers > 1 else {}
    runs = _execute(specs, envs, image_loader(data, split_file), done)
    from nasbench_eval.analysis.report import report
    from nasbench_eval.analysis.tables import render

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
    truth: Truth,
    split_hash: str,
) -> list[RunSpec]:
    from nasbench_eval.images import DATASETS
    from nasbench_eval.methods import load_method
    from runners.presets import load_preset, load_scale, method_names
    from runners.spec import RunSpec

    load_scale(scale)
    presets = [load_preset(name) for name in _listed("method", methods, method_names())]
    if methods == "all" and truth != "table":
        presets = [preset for preset in presets if load_method(preset.implementation).needs == "images"]
    where = _listed("data set", datasets, list(DATASETS))
    for name in where:
        if name not in DATASETS:
            raise unknown("data set", name, DATASETS)
    names = list(dict.fromkeys(preset.name for preset in presets))
    return [RunSpec(m, d, seed, scale, changes, split_hash) for m, d, seed in itertools.product(names, where, seeds)]


def _listed(kind: str, text: str, known: list[str]) -> list[str]:
    names = known if text == "all" else [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UsageError(f"no {kind} given: known are {', '.join(known)}")
    return list(dict.fromkeys(names))


def _execute(
    specs: list[RunSpec],
    envs: Mapping[str, Environment],
    images_of: Callable[[str], ImageData],
    done: Mapping[str, Run],
) -> list[Run]:
    """Run what is missing, one after the other, and return all runs; ``done``: those just done, by their id."""
    runs: list[Run] = []
    for _, group in itertools.groupby(specs, key=lambda spec: spec.variant_id):
        same = list(group)
        env = envs[same[0].search_dataset]
        if same[0].implementation.needs == "table":
            runs += _simulated(same, env)
            continue
        for number, spec in enumerate(same, len(runs) + 1):
            runs.append(done.get(spec.run_id) or _trained(spec, env, images_of, _title(number, specs, spec)))
    return runs


def _title(number: int, specs: Sized, spec: RunSpec) -> str:
    return f"[{number}/{len(specs)}] {spec.method} {spec.search_dataset} seed {spec.seed}"


def _side_by_side(
    specs: list[RunSpec],
    envs: Mapping[str, Environment],
    places: Callable[..., Mapping[str, Environment]],
    data: Path | None,
    split_file: Path | None,
    workers: int,
) -> dict[str, Run]:
    """Run those missing searches that train, several at once, and return them by their id."""
    from tqdm import tqdm

    from runners.parallel import search_all
    from runners.search import finished

    missing = {
        _title(number, specs, spec): spec
        for number, spec in enumerate(specs, 1)
        if spec.implementation.needs == "images" and finished(spec, envs[spec.search_dataset]) is None
    }
    if not missing:
        return {}
    done: dict[str, Run] = {}
    titles, chosen, workers = list(missing), list(missing.values()), min(workers, len(missing))
    with tqdm(total=len(chosen), desc="searches", unit="run", dynamic_ncols=True, mininterval=interval()) as bar:
        for number in search_all(
            _trained,
            chosen,
            titles,
            environments=partial(places, workers=workers),
            data=data,
            split_file=split_file,
            workers=workers,
        ):
            spec = chosen[number]
            run = finished(spec, envs[spec.search_dataset])
            assert run is not None
            done[spec.run_id] = run
            last = run.steps.to_dict("records")[-1]
            bar.write(f"{titles[number]}: {_current(last, spec)}, {last['total_seconds']:.0f} s")
            bar.update()
    return done


def _simulated(specs: list[RunSpec], env: Environment) -> list[Run]:
    from tqdm import tqdm

    from runners.tabular import run_variant

    new = 0
    title = f"{specs[0].method} {specs[0].search_dataset}"
    with tqdm(total=len(specs), desc=title, unit="run", dynamic_ncols=True, mininterval=interval()) as bar:

        def show(run: Run, fresh: bool) -> None:
            nonlocal new
            new += fresh
            bar.update()

        runs = run_variant(specs, env, show)
        if new < len(specs):
            bar.set_postfix_str(f"{len(specs) - new} were complete already")
    return runs


def _trained(
    spec: RunSpec,
    env: Environment,
    images_of: Callable[[str], ImageData],
    title: str,
    slot: int = 0,
) -> Run:
    """Run a spec that is not complete yet; ``slot``: its line among the bars of searches side by side."""
    from tqdm import tqdm

    from runners.search import execute, finished

    found = finished(spec, env)
    if found is not None:
        click.echo(f"{title}: complete already")
        return found
    with tqdm(
        total=spec.values.get("epochs"),
        desc=title,
        unit="epoch",
        dynamic_ncols=True,
        mininterval=interval(),
        position=slot,
        leave=not slot,
        # In a log file many bars at once could not be read.
        disable=slot > 0 and not sys.stderr.isatty(),
    ) as bar:

        def show(done: int, row: Mapping[str, Any]) -> None:
            bar.set_postfix_str(_current(row, spec), refresh=False)
            bar.update(done - bar.n)

        return execute(spec, env, images_of(spec.search_dataset), show)


def interval() -> float:
    """Seconds between two states of a progress bar: a log file wants fewer than a terminal."""
    return 0.1 if sys.stderr.isatty() else 30.0


def _current(row: Mapping[Any, Any], spec: RunSpec) -> str:
    from nasbench_eval.cell import Cell

    text = f"cell {Cell.parse(row['cell']).index}"
    accuracy = row.get(f"test_acc.{spec.search_dataset}")
    return text if accuracy is None else f"{text}, true test acc {accuracy:.2f}"
