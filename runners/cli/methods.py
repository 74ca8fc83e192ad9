"""``nbeval methods``: what can be run, and every setting with its value, meaning and source."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import click

from nasbench_eval.errors import NbevalError


@click.command(short_help="List the methods, or show every setting of one.")
@click.argument("name", required=False)
def methods(name: str | None) -> None:
    """List the methods by family, or show every setting of one: value, meaning, source.

    NAME is one of the list, optuna:SAMPLER, or a class of your own as MODULE:CLASS.
    """
    from tabulate import tabulate

    from runners.presets import FAMILIES, load_preset, method_names

    if name is None:
        rows = sorted(map(_row, method_names()), key=lambda row: FAMILIES.index(row[0]))
        shown = [row[1:] for row in rows]
        head, rule, *lines = tabulate(shown, headers=("--method", "title", "what"), tablefmt="simple").splitlines()
        click.echo(f"{head}\n{rule}")
        for family, group in itertools.groupby(zip(rows, lines, strict=True), key=lambda pair: pair[0][0]):
            click.echo(f"\n{family}\n" + "\n".join(line for _, line in group))
        return
    from nasbench_eval.methods import load_method
    from nasbench_eval.settings import build_settings, has_effect

    preset = load_preset(name)
    cls = load_method(preset.implementation).Settings
    values = dataclasses.asdict(build_settings(cls, preset.settings, owner=name))
    click.echo(f"{preset.title}: {preset.summary}\n{preset.paper or preset.implementation}\n")
    fields = dataclasses.fields(cls)
    idle = [field.name for field in fields if not has_effect(field, values)]
    settings: list[tuple[str, str, str, str]] = [
        (
            field.name,
            _values(values[field.name], preset.on.get(field.name, {})),
            field.metadata["help"],
            preset.sources.get(field.name, "default"),
        )
        for field in fields
        if field.name not in idle
    ]
    headers = ("--set", "value", "meaning", "source")
    click.echo(tabulate(settings, headers=headers, tablefmt="simple", maxcolwidths=[None, None, 44, 40]))
    if idle:
        click.echo(f"\nWithout effect here: {', '.join(idle)}.")


def _values(value: Any, on: Mapping[str, Any]) -> str:
    """Return the value of a setting, and those that it has on some data sets."""
    others = ", ".join(f"{dataset}: {other}" for dataset, other in on.items())
    return (f"{value} ({others})" if others else str(value)).lower()


def _row(name: str) -> tuple[str, str, str, str]:
    from runners.presets import FAMILIES, load_preset

    try:
        preset = load_preset(name)
    except NbevalError as error:
        # One broken package is not to hide all other methods.
        return FAMILIES[-1], name, "", f"cannot be loaded: {error}"
    return preset.family, name, preset.title, preset.summary
