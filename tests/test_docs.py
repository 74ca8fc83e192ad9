"""The documentation shows only commands, modules and files that exist; README and the quickstart are run.

Commands are in ```bash blocks. On every page each line is parsed: the command, its options, methods, data sets,
settings and figures must exist. The lines of README and the quickstart are also run, one after the other in an empty
folder. To finish in seconds they are made smaller by options appended to the line (``smaller``); the line itself stays
as it is. ``make`` targets are looked up in the Makefile, and its ``nbeval`` lines are parsed like the others.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from command import TINY, call
from paths import ROOT

from nasbench_eval.analysis.figures import FIGURES
from nasbench_eval.errors import UsageError
from nasbench_eval.images import DATASETS
from runners.cli import cli
from runners.presets import load_preset
from runners.spec import RunSpec, parse_overrides, parse_seeds
from runners.study import load_study

PAGES = [page for folder in (".", "docs", "docs/reference", "plots", "results") for page in ROOT.glob(f"{folder}/*.md")]
RUN = [ROOT / "README.md", ROOT / "docs" / "quickstart.md"]
"""The pages whose commands are run."""
SHELL = {".venv/bin/pre-commit", "eval", "pip", "python3", "ray", "source", "tensorboard"}
"""Other programs that a line may start with; they are not checked."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each line, with the variables that the page sets."""
    variables: dict[str, str] = {}
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", "").splitlines():
            words = shlex.split(re.sub(r"\$(\w+)", lambda m: variables.get(m[1], m[0]), line), comments=True)
            while words and (assignment := re.fullmatch(r"(\w+)=(.*)", words[0])):
                variables[assignment[1]] = assignment[2]
                words.pop(0)
            if ">" in words:
                words = words[: words.index(">")]
            if words:
                yield words


def given(words: list[str], option: str) -> list[str]:
    """The values of an option that takes a list."""
    values = [value for key, value in itertools.pairwise(words) if key == option]
    return [part for value in values for part in value.split(",") if part != "all"]


def parse(words: list[str]) -> None:
    """Fail if the command, an option or a name after an option does not exist."""
    command: click.Command = cli
    rest = words[1:]
    context = click.Context(cli)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None, f"no command {' '.join(words)}"
        command, rest = found, rest[1:]
    options, extra, _ = command.make_parser(click.Context(command)).parse_args(list(rest))
    assert not extra, f"{' '.join(words)} takes no {extra}"
    datasets = given(rest, "--dataset")
    assert set(datasets) <= set(DATASETS)
    methods = [method for method in given(rest, "--method") if ":" not in method]
    if command.name == "methods":
        methods = [method for method in rest if ":" not in method]
    for method in methods:
        load_preset(method)
    if command.name == "run":
        changes = parse_overrides(given(rest, "--set"))
        parse_seeds(options.get("seeds", "1"))
        for method in methods:
            for dataset in datasets:
                assert RunSpec(method, dataset, 0, options.get("scale", "full"), changes).values
    if command.name in ("run", "reproduce"):
        study = options.get("study", options.get("name"))
        assert not isinstance(study, str) or study == "my_study.toml" or load_study(study).claims
    if command.name == "plot":
        figures = options["figures"]  # not a tuple where none is given
        assert not isinstance(figures, tuple) or set(figures) <= set(FIGURES)


def makefile_targets() -> dict[str, list[list[str]]]:
    """The ``nbeval`` commands of each target."""
    text = (ROOT / "Makefile").read_text().replace("$(BIN)/nbeval", "nbeval")
    targets = re.findall(r"^([\w-]+):.*\n((?:\t.*\n)*)", text, re.MULTILINE)
    return {
        target: [shlex.split(line) for line in recipe.splitlines() if line.startswith("\tnbeval")]
        for target, recipe in targets
    }


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "bash")], ids=name)
def test_every_command_shown_exists(page: Path) -> None:
    targets = makefile_targets()
    assert len(targets["demo"]) == 3
    for words in commands(page):
        if words[0] == "make":
            for line in targets[words[1]]:
                parse(line)
        elif words[0] == "nbeval":
            parse(words)
        else:
            assert words[0] in SHELL, f"{name(page)}: {words[0]} is not checked by this test"


@pytest.mark.parametrize(
    "line",
    ["nbeval walk", "nbeval run --metod rs", "nbeval run --method r_s --dataset digits", "nbeval plot entrpy",
     "nbeval run --method rs --dataset mnist", "nbeval run --method rs --dataset digits --set epochs=3",
     "nbeval methods dats", "nbeval compare digits"],
)  # fmt: skip
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError, UsageError)):
        parse(shlex.split(line))


def smaller(words: list[str]) -> list[str]:
    """Options that make a command fast; the last value of an option counts."""
    if words[1] == "run":
        trains = [load_preset(method).implementation == "weight_sharing" for method in given(words, "--method")]
        if not any(trains):
            return ["--seeds", "2"]
        assert all(trains), "one command is made small either as a tabular or as a weight-sharing search"
        return ["--seeds", "1", "--workers", "1", "--device", "cpu", "--epochs", "1", *TINY]
    if words[1] == "reproduce":  # tests/runners/test_reproduce.py runs a whole study
        return ["--dry-run", "--seeds", "1", "--workers", "1", "--device", "cpu", "--epochs", "1", *TINY]
    if words[1] == "rank":
        return ["--cells", "10", "--device", "cpu", "--format", "svg"]
    if words[1] == "plot":
        return ["--format", "svg", *([] if len(words) > 2 else ["figure5"])]
    return []


@pytest.mark.parametrize("page", RUN, ids=name)
def test_the_commands_of_the_first_pages_run(page: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = []
    for words in commands(page):
        if words[0] == "nbeval":
            assert call(*words[1:], *smaller(words)) == 0, f"{' '.join(words)}: {capsys.readouterr().err}"
            ran.append(words[1])
            output = capsys.readouterr().out
            if words[1] == "compare":
                assert re.search(r"GAEA DARTS \(ERM\).*DARTS \(bilevel\)|DARTS \(bilevel\).*GAEA", output, re.DOTALL)
                assert "REA" in output
    assert {"run", "compare", "plot", "rank"} <= set(ran)
    assert (home / "plots" / "figure5.svg").is_file()
    names: dict[str, Any] = {}
    for code in blocks(page, "python"):
        exec(compile(code, name(page), "exec"), names)
    assert 0 < names["result"].test_acc["digits"] < 100


def test_the_study_shown_is_one(tmp_path: Path) -> None:
    for number, text in enumerate(blocks(ROOT / "docs" / "studies.md", "toml")):
        path = tmp_path / f"study{number}.toml"
        path.write_text(text)
        assert load_study(str(path)).specs


def test_the_update_of_gaea_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for code in blocks(ROOT / "docs" / "gaea.md", "python"):
        exec(compile(code, "docs/gaea.md", "exec"), names)
    assert names["theta"][0, -1] > 0.9


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_every_import_shown_works(page: Path) -> None:
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module != "my_method":
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_the_reference_lists_modules_that_exist_and_every_method() -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    listed = re.findall(r"automodule:: ([\w.]+)", text)
    assert len(listed) == len(set(listed))
    for module in listed:
        importlib.import_module(module)
    for folder in ("tabular", "weight_sharing", "training_free"):
        there = {path.stem for path in (ROOT / "nasbench_eval" / "methods" / folder).glob("[!_]*.py")}
        assert {f"nasbench_eval.methods.{folder}.{module}" for module in there} <= set(listed)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_leads_to_it(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    ("typed", "completed"),
    [(["ru"], "plain,run"), (["run", "--me"], "plain,--method"), (["table", "bu"], "plain,build")],
)
def test_the_shell_completes_commands_and_options(
    typed: list[str], completed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "_NBEVAL_COMPLETE=bash_source nbeval" in (ROOT / "docs" / "installation.md").read_text()
    monkeypatch.setenv("_NBEVAL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["nbeval", *typed]))
    monkeypatch.setenv("COMP_CWORD", str(len(typed)))
    assert call() == 0
    assert capsys.readouterr().out.split() == [completed]
