from __future__ import annotations

import math

from nasbench_eval.analysis.decision import fewest_of_one_value, seeds_to_agree, seeds_to_differ, too_few


def test_seeds_of_one_value_are_too_few_until_a_permutation_test_can_decide() -> None:
    assert too_few([93.0] * 3, [90.0, 91.0, 92.0])
    assert not too_few([93.0] * 4, [90.0, 91.0, 92.0, 91.5])
    assert too_few([93.0], [90.0, 91.0, 92.0]), "one seed has one value"
    assert not too_few([93.0, 93.1], [90.0, 91.0])


def test_more_tests_need_more_seeds_of_one_value() -> None:
    # The smallest p values of 4, 5 and 8 seeds per method are 2 / 70, 2 / 252 and 2 / 12870; that of 9 is no smaller.
    assert [fewest_of_one_value(tests) for tests in (1, 2, 6, 321, 322)] == [4, 5, 5, 8, math.inf]


def test_with_one_value_no_fewer_seeds_decide_than_a_permutation_test_needs() -> None:
    spreads = (0.0, 0.01)
    assert seeds_to_differ(5.0, spreads) == seeds_to_agree(0.0, spreads, 5.0) == 2
    assert seeds_to_differ(5.0, spreads, one_value=True) == seeds_to_agree(0.0, spreads, 5.0, one_value=True) == 4
    assert seeds_to_differ(5.0, spreads, tests=2, one_value=True) == 5
