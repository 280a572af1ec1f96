"""A short share of ``python -m proof.live``: a real Airflow whose processes are killed at random."""

from __future__ import annotations

from pathlib import Path

import pytest

from proof.live.plan import Blow
from proof.live.report import report
from proof.live.show import carry_out


@pytest.mark.thorough
def test_kill_9_of_anything_makes_and_sends_each_campaign_once(tmp_path: Path) -> None:
    outcome = carry_out("package", lifecycles=4, seed=7, jobs=6, home=tmp_path / "airflow", tell=print)
    print(report(outcome))
    assert set(outcome.blows) == set(Blow)
    assert outcome.faults
    assert list(outcome.violations) == []
    assert all(lifecycle.succeeded for lifecycle in outcome.lifecycles)
