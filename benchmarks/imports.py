"""What an import costs. Every DAG parse and every task start imports its providers again."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version

from benchmarks.report import Goal, Say, Section, table

OURS = "import airflow_provider_klaviyo.operators.campaigns"
PEERS = {
    "import airflow.providers.airbyte.operators.airbyte": "apache-airflow-providers-airbyte",
    "import airflow.providers.dbt.cloud.operators.dbt": "apache-airflow-providers-dbt-cloud",
    "import airflow.providers.databricks.operators.databricks": "apache-airflow-providers-databricks",
    "from klaviyo_api import KlaviyoAPI; KlaviyoAPI('pk_').Campaigns": "klaviyo-api",
}
ROUNDS, QUICK_ROUNDS = 5, 1
MEASURE = """
import json, sys, time
import airflow.sdk
before, began = set(sys.modules), time.process_time()
{statement}
print(json.dumps([time.process_time() - began, len(set(sys.modules) - before)]))
"""
ABOUT = """\
CPU time and new modules of one import, on top of `import airflow.sdk`, each in a fresh interpreter with its byte code
compiled; the best of {rounds}, taken in turns. The SDK loads an API when it is first named. Ours loads its HTTP
library with the first call: what that adds up to is in *a task's only call*, under *overhead*.
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU milliseconds, and modules loaded."""

    milliseconds: float
    modules: int


def measure(statement: str) -> Cost:
    done = subprocess.run([sys.executable, "-c", MEASURE.format(statement=statement)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{statement!r} fails: {done.stderr.strip().splitlines()[-1]}")
    seconds, modules = json.loads(done.stdout.splitlines()[-1])
    return Cost(1000 * seconds, modules)


def section(quick: bool, say: Say) -> Section:
    rounds = QUICK_ROUNDS if quick else ROUNDS
    best: dict[str, Cost] = {}
    for number in range(1 + rounds):
        for statement in (OURS, *PEERS):
            cost = measure(statement)
            if number:  # the first round compiles
                best[statement] = min(cost, best.get(statement, cost), key=lambda cost: cost.milliseconds)
        say(f"round {number} of {rounds}")
    ours = best[OURS]
    rows = [[f"`{OURS}`", f"{ours.milliseconds:.0f}", "1.0 x", str(ours.modules)]]
    for statement, distribution in PEERS.items():
        ratio = best[statement].milliseconds / ours.milliseconds
        name = f"`{statement}` ({distribution} {version(distribution)})"
        rows.append([name, f"{best[statement].milliseconds:.0f}", f"{ratio:.1f} x", str(best[statement].modules)])
    least = min(PEERS, key=lambda statement: best[statement].milliseconds)
    found = f"{ours.milliseconds:.0f} ms, and {best[least].milliseconds:.0f} ms for `{least}`"
    goal = Goal("less CPU than the import of any peer", found, ours.milliseconds < best[least].milliseconds)
    return Section(ABOUT.format(rounds=rounds), table(["import", "CPU, ms", "of ours", "new modules"], rows), [goal])
