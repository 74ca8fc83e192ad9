"""Claims about measured runs, written in TOML, and the verdict on each: holds, fails, undecided or not run."""

from nasbench_eval.analysis.claims.claim import Claim, read_claims
from nasbench_eval.analysis.claims.judge import Side, Verdict, judge
from nasbench_eval.analysis.claims.quantities import QUANTITIES

__all__ = ["QUANTITIES", "Claim", "Side", "Verdict", "judge", "read_claims"]
