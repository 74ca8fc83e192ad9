"""``nbeval methods``: what can be run, and every setting with its value, meaning and source."""

from __future__ import annotations

import dataclasses

import click

from nasbench_eval.errors import unknown


@click.command()
@click.argument("name", required=False)
def methods(name: str | None) -> None:
    """List the methods, or show every setting of one: value, meaning, source."""
    from tabulate import tabulate

    from runners.presets import load_preset, preset_names

    if name is None:
        rows = [(n, load_preset(n).title, load_preset(n).summary) for n in preset_names()]
        click.echo(tabulate(rows, headers=("--method", "title", "what"), tablefmt="simple"))
        return
    if name not in preset_names():
        raise unknown("method", name, preset_names())
    from nasbench_eval.methods import load_method
    from nasbench_eval.methods.settings import build_settings

    preset = load_preset(name)
    cls = load_method(preset.implementation).Settings
    values = dataclasses.asdict(build_settings(cls, preset.settings, owner=name))
    click.echo(f"{preset.title}: {preset.summary}\n{preset.paper}\n")
    settings: list[tuple[str, str, str, str]] = [
        (field.name, str(values[field.name]).lower(), field.metadata["help"], preset.sources.get(field.name, "default"))
        for field in dataclasses.fields(cls)
    ]
    headers = ("--set", "value", "meaning", "source")
    click.echo(tabulate(settings, headers=headers, tablefmt="simple", maxcolwidths=[None, None, 44, 40]))
