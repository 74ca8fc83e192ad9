"""Numbers that a user wrote, and values that were read from a file."""

from dataclasses import dataclass, field

import pytest

from nasbench_eval.cell import parse_cell
from nasbench_eval.errors import UsageError
from nasbench_eval.utils.checks import from_plain, parse_whole_number
from runners.device import resolve_device
from runners.spec import parse_seeds

NO_NUMBERS = ["", " ", "²", "٣", "-1", "+1", "1.0", "1e3", "1_000", "0x1", "9" * 5000]


def test_whole_numbers_are_read():
    assert [parse_whole_number(text) for text in ("0", " 7\n", "007", "15624")] == [0, 7, 7, 15624]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_any_other_text_is_no_number(text):
    assert parse_whole_number(text) is None


@pytest.mark.parametrize("read", [parse_cell, parse_seeds, lambda text: resolve_device(f"cuda:{text or 'x'}")])
@pytest.mark.parametrize("text", NO_NUMBERS)
def test_whoever_reads_a_number_refuses_such_text(read, text):
    with pytest.raises(UsageError):
        read(text)


@dataclass
class Plain:
    name: str
    size: int | None = None
    parts: list[str] = field(default_factory=list)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "it holds no names and values"),
        ({}, "it has no name"),
        ({"name": "a", "sizes": 3}, "it has 'sizes', which is unknown"),
        ({"name": 3}, "its name is 3"),
        ({"name": "a", "size": True}, "its size is True"),
        ({"name": "a", "parts": "b"}, "its parts is 'b'"),
    ],
)
def test_what_is_wrong_with_values_that_were_read_is_said(values: object, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        from_plain(Plain, values)


def test_values_that_were_read_may_lack_what_has_a_default() -> None:
    assert from_plain(Plain, {"name": "a"}) == Plain("a")
    assert from_plain(Plain, {"name": "a", "size": 3, "parts": ["b"]}) == Plain("a", 3, ["b"])
