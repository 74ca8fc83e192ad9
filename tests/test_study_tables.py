"""The tables of the studies show what their committed runs have: adding a run without its row turns this red."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest
from paths import ROOT


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "study_tables.py"))


@pytest.mark.parametrize("path", ["docs/study.md", "docs/digits.md"])
def test_the_tables_of_a_page_are_those_of_the_committed_runs(made: dict[str, Any], path: str) -> None:
    page = (ROOT / path).read_text(encoding="utf-8")

    for name in made["PAGES"][path]:
        assert made["with_table"](page, name, made["TABLES"][name].lines()) == page, "run: python docs/study_tables.py"


def test_every_table_is_on_a_page(made: dict[str, Any]) -> None:
    marks = {path: re.findall("<!-- study_tables.py: (.*) -->", (ROOT / path).read_text()) for path in made["PAGES"]}

    assert marks == {path: list(names) for path, names in made["PAGES"].items()}
    assert sorted(made["TABLES"]) == sorted(name for names in marks.values() for name in names)


def test_rows_of_searches_without_committed_runs_stay(made: dict[str, Any]) -> None:
    table = "| method | n |\n| --- | --- |\n| RS | 5 |\n| old | 3 |\n| optimum | |"
    page = f"above\n\n<!-- study_tables.py: x -->\n\n{table}\n\nbelow\n"

    assert made["with_table"](page, "x", ["| new | 4 |"]) == page.replace("| old | 3 |", "| new | 4 |")
