"""The page as it is first painted, and as it stays where there is no JavaScript: plain lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from airflow_provider_klaviyo.api.operations import operations
from airflow_provider_klaviyo.sandbox.faults import FAULTS

SHELL = Path(__file__).parent / "page.html"
SAMPLE_KEY = "pk_sandbox"


def page(state: Mapping[str, Any], url: str) -> str:
    """The page.

    :param state: what :func:`~airflow_provider_klaviyo.sandbox.page.state.overview` gives.
    :param url: the sandbox's own, for the connection that points at it.
    """
    connection = json.dumps({"conn_type": "klaviyo", "host": url, "password": SAMPLE_KEY})
    values = {
        "account": escape(state["account"]["name"]),
        "connection": escape(f"export AIRFLOW_CONN_KLAVIYO_DEFAULT='{connection}'", quote=False),
        "connect_hidden": "hidden" if state["requests"]["total"] else "",
        "deliveries_none_hidden": "hidden" if state["deliveries"]["total"] else "",
        "campaigns": "".join(_campaign(row) for row in state["campaigns"]["shown"]),
        "deliveries": "".join(_delivery(row) for row in state["deliveries"]["shown"]),
        "requests": "".join(_request(row) for row in state["requests"]["shown"]),
        "kinds": "".join(f'<option title="{escape(what)}">{escape(kind)}</option>' for kind, what in FAULTS.items()),
        "operations": "".join(f'<option value="{escape(name)}">' for name in ["*", *operations()]),
    }
    for name in ("campaigns", "deliveries", "requests"):
        more = state[name]["total"] - len(state[name]["shown"])
        values |= {f"{name}_count": str(state[name]["total"]), f"{name}_more": f"{more} older ones" if more else ""}
    return Template(SHELL.read_text(encoding="utf-8")).substitute(values)


def _campaign(row: Mapping[str, Any]) -> str:
    """The id is the target of a link to ``/#<campaign id>``."""
    id_ = escape(row["id"])
    audiences = ", ".join(
        f"{audience['name'] or audience['id']} ({audience['count']})" for audience in row["audiences"]
    )
    facts = f"{row['channel']} · {row['status']} · {row['when']} · to {audiences}"
    link = f'<a href="#{id_}"><b>{escape(row["name"])}</b> <span>{escape(facts)}{_twice(row)}</span></a>'
    return f'<li id="{id_}">{link}</li>'


def _delivery(row: Mapping[str, Any]) -> str:
    reached = f"{row['reached']} of {row['of']}"
    cells = (row["at"], f"{row['name']}{_twice(row)}", row["channel"], reached, ", ".join(row["addresses"]))
    return _row(cells, "twice" if row["times"] > 1 else "")


def _request(row: Mapping[str, Any]) -> str:
    asked = f"{row['operation'] or 'unknown'} {row['method']} {row['path']}"
    wrote = "committed" if row["committed"] else ""
    return _row((row["at"], asked, row["status"] or "cut", wrote, row["fault"] or "", row["revision"] or ""))


def _twice(row: Mapping[str, Any]) -> str:
    times = row["times"]
    return "" if times < 2 else " · sent twice" if times == 2 else f" · sent {times} times"


def _row(cells: tuple[object, ...], kind: str = "") -> str:
    return f'<tr class="{kind}">' + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
