"""The short form of the fault campaign; ``make faults`` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_killed_search_and_two_at_once_lose_nothing() -> None:
    campaign = Path(__file__).with_name("campaign.py")
    command = [sys.executable, str(campaign), "--cases", "2", "--methods", "darts,rs_ws"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 cases in " in done.stdout
