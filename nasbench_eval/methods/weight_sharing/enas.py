"""ENAS (Pham et al., ICML 2018): a recurrent controller proposes cells and learns from their shared-weight accuracy.

The two phases of an epoch (section 2.2), and the code below:

1. Every batch trains one cell that the controller proposes: :meth:`Controller.sample`.
2. The controller learns by REINFORCE: it proposes cells, scores each with the shared weights on a batch of the valid
   part, and moves towards those above a moving average of the reward: :meth:`Controller.learn`.

After the epoch the controller proposes ``select_cells`` cells (:meth:`Controller.candidates`); the one with the best
shared-weight accuracy is kept (``Selection.choose``). The size of the controller and its training follow
NAS-Bench-201's ``ENAS.py`` and ``search_model_enas_utils.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from nasbench_eval.cell import N_EDGES, Cell
from nasbench_eval.errors import Diverged
from nasbench_eval.methods.weight_sharing.base import ArchParameters, EdgeWeights, Score
from nasbench_eval.networks.supernet import active_of, one_hot

if TYPE_CHECKING:
    from nasbench_eval.methods.weight_sharing.settings import WeightSharingSettings

SIZE, LAYERS = 32, 2
"""Width and depth of the LSTM (NAS-Bench-201)."""
TANH, TEMPERATURE = 2.5, 5.0
"""Logits are ``TANH * tanh(logits / TEMPERATURE)`` (NAS-Bench-201)."""
CLIP = 5.0
"""Largest norm of the controller's gradient (NAS-Bench-201)."""
SMALL = ("start", "lstm.weight_hh_l0", "lstm.weight_ih_l0", "embedding.weight", "head.weight")
"""What the released code initialises to +-0.1; everything else keeps torch's default."""


class _Policy(nn.Module):
    """An LSTM that chooses the operations of the six edges one after another."""

    def __init__(self, n_ops: int, generator: torch.Generator, *, init: str) -> None:
        super().__init__()
        self.epoch = 0
        self.start = nn.Parameter(torch.empty(1, 1, SIZE))
        self.lstm = nn.LSTM(SIZE, SIZE, LAYERS)
        self.embedding = nn.Embedding(n_ops, SIZE)
        self.head = nn.Linear(SIZE, n_ops)
        for name, parameter in self.named_parameters():
            small = init == "uniform" or name in SMALL
            bound = 0.1 if small else SIZE**-0.5  # torch's default for an LSTM, and for a layer with SIZE inputs
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, generator: torch.Generator) -> tuple[list[int], Tensor, Tensor]:
        """Sample a cell: the indices of its operations, its log-probability, and the sum of the edges' entropies."""
        inputs, state = self.start, None
        choices: list[int] = []
        log_prob = entropy = self.start.new_zeros(())
        for _ in range(N_EDGES):
            outputs, state = self.lstm(inputs, state)
            logits = TANH * torch.tanh(self.head(outputs).view(-1) / TEMPERATURE)
            logs = logits.log_softmax(-1)
            if not bool(logs.isfinite().all()):
                raise Diverged(self.epoch, "a probability of the controller is not finite")
            choice = torch.multinomial(logs.detach().exp(), 1, generator=generator)
            choices.append(int(choice))
            log_prob = log_prob + logs[choice[0]]
            entropy = entropy - (logs.exp() * logs).sum()
            inputs = self.embedding(choice).view(1, 1, -1)
        return choices, log_prob, entropy


@final
class Controller(ArchParameters):
    """Every batch trains a cell that the controller proposes; after each epoch the controller learns.

    The controller always stays on the CPU: its six LSTM steps per cell are too small for a GPU.

    Args:
        ops: The candidate operations.
        settings: Number of updates and samples, entropy weight, decay, and Adam's settings.
        generator: For the initial weights of the controller.
    """

    stays_on_cpu = True

    def __init__(self, ops: tuple[int, ...], settings: WeightSharingSettings, generator: torch.Generator) -> None:
        super().__init__(ops, None)
        assert settings.arch_lr is not None
        self.policy = _Policy(len(ops), generator, init=settings.controller_init)
        self.scores_augmented = settings.controller_images == "augmented"
        self._settings = settings
        self._optimizer = torch.optim.Adam(
            self.policy.parameters(),
            lr=settings.arch_lr,
            betas=(settings.arch_beta1, settings.arch_beta2),
            eps=settings.arch_eps,
        )
        self._baseline: float | None = None
        self._entropy = 0.0
        self._generator = torch.Generator()
        self._device = torch.device("cpu")

    def begin_epoch(self, epoch: int, samples: int, generator: torch.Generator, device: torch.device) -> None:
        """Keep the generator that draws the cells of the epoch."""
        self._generator, self._device = generator, device
        self.policy.epoch = epoch

    @torch.no_grad()
    def sample(self) -> EdgeWeights:
        """Return the one-hot weights of a cell that the controller proposes."""
        cell = self._propose(self._generator)
        return EdgeWeights(one_hot(cell, device=self._device), active_of(cell))

    @torch.no_grad()
    def candidates(self, n: int, generator: torch.Generator) -> list[Cell]:
        """Return cells that the controller proposes."""
        return [self._propose(generator) for _ in range(n)]

    def _propose(self, generator: torch.Generator) -> Cell:
        return self._cell(self.policy(generator)[0])

    def _cell(self, choices: list[int]) -> Cell:
        return Cell(tuple(self.ops[i] for i in choices))  # type: ignore[arg-type]

    def entropy(self) -> Tensor:
        """Return the entropy of an edge's choice in nats, averaged over the cells of the latest :meth:`learn`."""
        return torch.tensor(self._entropy)

    def learn(self, score: Score, generator: torch.Generator) -> dict[str, float]:
        """Do the controller's REINFORCE updates of an epoch and return the mean reward.

        As the released code, a reward is the accuracy plus the weighted entropy, whose gradient counts too, and a
        baseline lies between the average at the start of the epoch and the reward; the last one is the next average.
        """
        settings = self._settings
        rewards, entropies = [], []
        average = self._baseline
        for _ in range(settings.controller_steps):
            proposals = [self.policy(generator) for _ in range(settings.controller_samples)]
            accuracies = score([self._cell(choices) for choices, _, _ in proposals])
            losses = []
            for (_, log_prob, entropy), accuracy in zip(proposals, accuracies, strict=True):
                bonus = entropy if settings.controller_entropy_gradient else entropy.detach()
                reward = accuracy + settings.controller_entropy * bonus
                baseline = torch.tensor(accuracy)
                if average is not None:
                    baseline = average - (1 - settings.controller_decay) * (average - reward)
                losses.append(-log_prob * (reward - baseline))
                self._baseline = float(baseline.detach())
                if settings.controller_baseline == "sample":
                    average = self._baseline
                rewards.append(float(reward.detach()))
                entropies.append(float(entropy.detach()) / N_EDGES)
            self._optimizer.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.policy.parameters(), CLIP)
            self._optimizer.step()
        self._entropy = sum(entropies) / len(entropies)
        return {"reward": sum(rewards) / len(rewards)}

    def get_extra_state(self) -> dict[str, object]:
        """Return what ``state_dict`` also saves: the optimiser's state, the moving average and the entropy."""
        return {"optimizer": self._optimizer.state_dict(), "baseline": self._baseline, "entropy": self._entropy}

    def set_extra_state(self, state: dict[str, object]) -> None:
        """Restore what ``get_extra_state`` returned."""
        self._optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        self._baseline, self._entropy = state["baseline"], state["entropy"]  # type: ignore[assignment]
