"""Numbers that a user wrote."""

import pytest

from nasbench_eval.cell import parse_cell
from nasbench_eval.errors import UsageError
from nasbench_eval.utils.checks import parse_whole_number
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
