"""The short form of the fault campaign; ``make faults`` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_handful_of_faults_loses_nothing() -> None:
    campaign = Path(__file__).with_name("campaign.py")
    command = [sys.executable, str(campaign), "--cases", "4", "--methods", "darts,rs_ws"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 cases in " in done.stdout
