from __future__ import annotations

import tomllib
from typing import Any

import pytest

from nasbench_eval.analysis.claims import read_claims
from nasbench_eval.errors import UsageError

GOOD = 'text = "GAEA wins"\ntest = "better"\nmethod = "gaea_darts"\nagainst = ["darts", "gdas"]\ndataset = "cifar10"\n'
METHODS, DATASETS = ["gaea_darts", "darts", "gdas"], ["cifar10", "cifar100"]


def read(text: str) -> list[Any]:
    tables = tomllib.loads(text).get("claim", [])
    return read_claims(tables, methods=METHODS, datasets=DATASETS, where="my.toml")


def claim(text: str = GOOD, **changes: str) -> Any:
    kept = [line for line in text.splitlines() if line.partition(" = ")[0] not in changes]
    lines = [*kept, *(f"{key} = {value}" for key, value in changes.items() if value)]
    [found] = read("\n".join(["[[claim]]", *lines]))
    return found


def test_a_claim_is_read_with_its_defaults() -> None:
    found = claim()
    assert (found.method, found.against, found.dataset) == (("gaea_darts",), ("darts", "gdas"), ("cifar10",))
    assert (found.quantity, found.searched_for("cifar10"), found.settings) == ("test_acc", "cifar10", {})
    assert claim(search_dataset='"cifar100"').searched_for("cifar10") == "cifar100"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metod": '"darts"'}, "unknown key 'metod': did you mean 'method'?"),
        ({"test": '"beter"'}, "unknown test 'beter': did you mean 'better'?"),
        ({"method": '"gaea_dart"'}, "unknown method 'gaea_dart': did you mean 'gaea_darts'?"),
        ({"against": '["dart"]'}, "unknown method 'dart': did you mean 'darts'?"),
        ({"dataset": '"cifar-10"'}, "cifar-10 is cifar10 here"),
        ({"search_dataset": '"cifr100"'}, "did you mean 'cifar100'?"),
        ({"quantity": '"entrpy"', "test": '"lower"'}, "unknown quantity 'entrpy': did you mean 'entropy'?"),
        ({"against": ""}, "name the methods in against"),
        ({"against": "[]"}, "name the methods in against"),
        ({"method": "[]"}, "method is at least one name"),
        ({"method": "3"}, "method is a name or a list of names; got 3"),
        ({"text": ""}, "claim 1 needs a value for text"),
        ({"test": '"above"', "against": ""}, "the test 'above' needs a value"),
        ({"value": "0.5"}, "value has no effect with the test 'better'"),
        ({"test": '"published"', "against": "", "margin": "0.5"}, "margin has no effect with the test 'published'"),
        ({"test": '"published"'}, "against has no effect with the test 'published'"),
        (
            {"test": '"published"', "against": "", "against_set": "{ arch_lr = 4.0 }"},
            "against_set has no effect with the test 'published'",
        ),
        ({"test": '"equivalent"', "margin": "0"}, "margin is above 0"),
        ({"test": '"equivalent"', "margin": "nan"}, "margin is a finite number; got nan"),
        ({"quantity": '"gap"'}, "the test 'better' is about test_acc"),
        ({"quantity": '"gap"', "test": '"equivalent"'}, "the table has no noise of gap: give the margin"),
        ({"quantity": '"gap"', "test": '"lower"', "search_dataset": '"cifar100"'}, "leave search_dataset out"),
        (
            {
                "quantity": '"gap"',
                "test": '"lower"',
                "search_dataset": '"cifar10"',
                "dataset": '["cifar10", "cifar100"]',
            },
            "leave search_dataset out",
        ),
        ({"set": "3"}, "set is a mapping"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_the_claim(changes: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        claim(**changes)
    message = str(caught.value)
    assert words in message
    assert message.startswith("my.toml, claim 1")
    assert "\n" not in message


def test_the_second_of_two_claims_is_named_by_its_number_and_text() -> None:
    with pytest.raises(UsageError, match=r'my.toml, claim 2 \("GAEA wins"\)'):
        read(f"[[claim]]\n{GOOD}\n[[claim]]\n{GOOD}\nvalu = 1")
