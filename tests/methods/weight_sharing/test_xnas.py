"""XNAS: its update of the architecture against hand-computed numbers (Nayman et al., NeurIPS 2019, algorithm 1)."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from weight_sharing import make, trajectory

from nasbench_eval.errors import UsageError
from nasbench_eval.methods.weight_sharing.xnas import ExpertAdvice, optimal_rate
from runners.spec import RunSpec


def play(theta: torch.Tensor, optimizer: ExpertAdvice, gradient: list[float], rounds: int = 1) -> list[float]:
    """Return the first row after rounds with the same gradient."""
    for _ in range(rounds):
        theta.grad = torch.tensor([gradient])
        optimizer.step()
    return theta[0].tolist()  # type: ignore[no-any-return]


def uniform(experts: int) -> torch.Tensor:
    return torch.full((1, experts), 1 / experts, requires_grad=True)


def test_one_round_by_hand_with_clipped_rewards() -> None:
    theta = uniform(3)
    optimizer = ExpertAdvice([theta], rounds=1000, bound=0.5, lr=0.2)
    # Rewards are minus the gradients: -0.3, 0.5 (of 4, clipped), -0.5 (of -9, clipped).
    raw = [math.exp(0.2 * reward) for reward in (-0.3, 0.5, -0.5)]
    assert play(theta, optimizer, [0.3, -4.0, 9.0]) == pytest.approx([v / sum(raw) for v in raw], rel=1e-6)
    # Weights multiply from round to round.
    raw = [v * math.exp(0.2 * reward) for v, reward in zip(raw, (0.5, 0.1, 0.0), strict=True)]
    assert play(theta, optimizer, [-0.5, -0.1, 0.0]) == pytest.approx([v / sum(raw) for v in raw], rel=1e-6)


def test_an_expert_is_wiped_out_in_the_round_after_which_it_can_no_longer_win() -> None:
    # With gradients 0 and 1 the ratio of the weights falls by exp(-lr) per round. The threshold after round t of 9 is
    # exp(-2 lr (9 - t)), and exp(-lr t) first falls below it when t > 2 (9 - t), in round 7.
    theta = uniform(2)
    optimizer = ExpertAdvice([theta], rounds=9, bound=1.0, lr=0.3)
    for number in range(1, 7):
        left, right = play(theta, optimizer, [0.0, 1.0])
        assert right / left == pytest.approx(math.exp(-0.3 * number), rel=1e-5)
    assert play(theta, optimizer, [0.0, 1.0]) == [1.0, 0.0]
    # It stays out, even with the largest reward.
    assert play(theta, optimizer, [1.0, -1.0], rounds=2) == [1.0, 0.0]


def test_an_expert_that_could_still_win_stays_and_may_win() -> None:
    theta = uniform(2)
    optimizer = ExpertAdvice([theta], rounds=10, bound=1.0, lr=0.3)
    left, right = play(theta, optimizer, [0.0, 1.0], rounds=6)
    # It is six behind and can gain eight in the four remaining rounds, two per round.
    assert right / left == pytest.approx(math.exp(-0.3 * 6), rel=1e-5)
    left, right = play(theta, optimizer, [1.0, -1.0], rounds=3)
    assert right / left == pytest.approx(1, rel=1e-5)
    assert play(theta, optimizer, [1.0, -1.0]) == [0.0, 1.0]


def test_the_last_expert_is_never_wiped_out() -> None:
    theta = uniform(4)
    optimizer = ExpertAdvice([theta], rounds=3, bound=1.0)
    # After the last round the threshold is the largest weight itself: one expert is left, and later rounds keep it.
    assert play(theta, optimizer, [0.5, 0.2, 0.9, 0.3], rounds=3) == [0.0, 1.0, 0.0, 0.0]
    assert play(theta, optimizer, [-1.0, 1.0, -1.0, -1.0], rounds=5) == [0.0, 1.0, 0.0, 0.0]
    level = uniform(2)
    assert play(level, ExpertAdvice([level], rounds=2), [0.7, 0.7], rounds=3) == [0.5, 0.5]


def test_weights_do_not_overflow() -> None:
    theta = uniform(3)
    optimizer = ExpertAdvice([theta], rounds=10_000, bound=100.0, lr=5.0)
    left, middle, right = play(theta, optimizer, [-100.0, -100.0, 100.0], rounds=4)
    assert (left, middle, right) == (0.5, 0.5, 0.0)
    # exp(-4000) is not representable, but the expert is not out: after four more rounds it has caught up.
    assert play(theta, optimizer, [100.0, 100.0, -100.0], rounds=4) == pytest.approx([1 / 3] * 3, rel=1e-6)


def test_the_rate_is_the_optimal_one_for_experts_rounds_and_bound() -> None:
    assert optimal_rate(5, 200, 2.0) == pytest.approx(0.0634318, rel=1e-5)  # sqrt(2 * 1.6094379 / (200 * 4))
    assert optimal_rate(1, 200, 2.0) == 0
    theta = uniform(5)
    play(theta, ExpertAdvice([theta], rounds=200, bound=2.0), [1.0, 0.0, 0.0, 0.0, 0.0])
    assert theta[0, 0].item() / theta[0, 1].item() == pytest.approx(math.exp(-0.0634318), rel=1e-5)


def test_the_search_counts_its_architecture_steps_as_rounds() -> None:
    def group(**changes: object) -> dict[str, object]:
        return make("xnas", **changes).arch_optimizer.param_groups[0]  # type: ignore[union-attr]

    # 24 images in batches of 16 make two steps per epoch, in three epochs.
    assert group()["rounds"] == 3 * 2
    assert group(arch_warmup_epochs=1)["rounds"] == 2 * 2
    assert (group()["bound"], group()["lr"]) == (1.0, None)
    assert (group(reward_bound=0.5)["bound"], group(arch_lr=0.25)["lr"]) == (0.5, 0.25)


@pytest.mark.parametrize("zero_op", [True, False])
def test_at_the_end_each_edge_has_one_operation_and_discretisation_changes_nothing(zero_op: bool) -> None:
    method = make("xnas", zero_op=zero_op, reward_bound=1.0)
    *_, (_, metrics) = trajectory(method)
    theta = method.architecture.probabilities()
    assert theta is not None
    assert sorted(theta.detach().flatten().tolist()) == [0.0] * (theta.numel() - 6) + [1.0] * 6
    assert metrics["entropy"] == 0
    assert metrics["loss_after_rounding"] == pytest.approx(metrics["loss_before_rounding"], rel=1e-5)


def test_wiped_out_experts_stay_out_after_a_resume(tmp_path: Path) -> None:
    # With so small a bound most rewards are clipped, so experts drop out before the last of the three epochs.
    first = make("xnas", reward_bound=0.001, batch_size=8)
    trajectory(first, 2)
    out = first.architecture.probabilities().detach() == 0  # type: ignore[union-attr]
    assert 0 < out.sum() < 24
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = make("xnas", reward_bound=0.001, batch_size=8)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert trajectory(first, 1) == trajectory(second, 1)
    assert (second.architecture.probabilities().detach()[out] == 0).all()  # type: ignore[union-attr]


def test_bad_values_are_refused() -> None:
    for wrong in ({"rounds": 0}, {"rounds": 5, "bound": 0.0}):
        with pytest.raises(ValueError, match="positive"):
            ExpertAdvice([uniform(2)], **wrong)  # type: ignore[arg-type]
    for method, changes, words in (
        ("gaea_darts", {"arch_lr": "none"}, "arch_optimizer eg needs a number for arch_lr"),
        ("darts", {"arch_optimizer": "experts"}, "experts cannot train parametrisation softmax: use adam or eg"),
        ("gaea_darts", {"arch_optimizer": "adam"}, "use eg or experts"),
        ("xnas", {"reward_bound": 0}, "reward_bound must be at least 1e-06"),
    ):
        with pytest.raises(UsageError, match=words):
            _ = RunSpec(method, "digits", 0, overrides=changes).settings
