"""The page as it is first painted, and as it stays where there is no JavaScript: plain lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION, operations
from airflow_provider_klaviyo.sandbox.faults import FAULTS

VIEWS = Path(__file__).parent / "views"
SAMPLE_KEY = "pk_sandbox"
TABS: Mapping[str, tuple[str, str]] = {
    "campaigns": ("/", "Campaigns"),
    "deliveries": ("/deliveries", "Deliveries"),
    "requests": ("/requests", "Requests"),
    "account": ("/account", "Account"),
    "faults": ("/faults", "Faults & limits"),
}
"""Each tab's address and name."""

UNDER = {"campaign": "campaigns", "request": "requests"}
"""The tab that a view belongs to that is none itself."""


def page(view: str, state: Mapping[str, Any], url: str, *, open_: str = "", title: str = "") -> str:
    """A view of the page.

    :param view: a tab of :data:`TABS`, or ``campaign`` or ``request``.
    :param state: what :func:`~airflow_provider_klaviyo.sandbox.page.state.overview` gives, for this view.
    :param url: the sandbox's own, for what points at it.
    :param open_: the id or number of what is opened.
    :param title: its name.
    """
    values = {
        "account": escape(state["account"]["name"]),
        "account_id": escape(state["account"]["id"]),
        "view": view,
        "open": escape(open_),
        "title": escape(title),
        "tabs": "".join(_tab(name, UNDER.get(view, view), state["counts"]) for name in TABS),
        "operations": "".join(f'<option value="{escape(name)}">' for name in ["*", *operations()]),
        **_snippets(url),
        **_lists(view, state),
    }
    values["content"] = _template(view).substitute(values)
    return _template("frame").substitute(values)


def _template(name: str) -> Template:
    return Template((VIEWS / f"{name}.html").read_text(encoding="utf-8"))


def _tab(name: str, current: str, counts: Mapping[str, int]) -> str:
    address, words = TABS[name]
    here = ' aria-current="page"' if name == current else ""
    count = f' <span class="count" data-count="{name}">{counts[name]:,}</span>' if name in counts else ""
    short, _, rest = words.partition(" & ")
    wide = f'<span class="wide"> &amp; {escape(rest)}</span>' if rest else ""
    return f'<a href="{address}"{here}>{escape(short)}{wide}{count}</a>'


def _snippets(url: str) -> dict[str, str]:
    connection = json.dumps({"conn_type": "klaviyo", "host": url, "password": SAMPLE_KEY})
    curl = f"curl {url}/api/lists -H 'Authorization: Klaviyo-API-Key {SAMPLE_KEY}' -H 'revision: {DEFAULT_REVISION}'"
    sdk = f'from klaviyo_api import KlaviyoAPI\n\nklaviyo = KlaviyoAPI("{SAMPLE_KEY}", test_host="{url}")'
    return {
        "connection": escape(f"export AIRFLOW_CONN_KLAVIYO_DEFAULT='{connection}'", quote=False),
        "sdk": escape(sdk, quote=False),
        "curl": escape(curl, quote=False),
    }


def _lists(view: str, state: Mapping[str, Any]) -> dict[str, str]:
    """The rows of a view that is a list, and what is said of them."""
    if view == "faults":
        kinds = (f'<option title="{escape(what)}">{escape(kind)}</option>' for kind, what in FAULTS.items())
        return {"kinds": "".join(kinds)}
    rows = {"campaigns": _campaign, "deliveries": _delivery, "requests": _request}
    if view not in rows:
        return {}
    total, shown = state[view]["total"], state[view]["shown"]
    more = total - len(shown)
    return {
        view: "".join(rows[view](row) for row in shown),
        f"{view}_count": f"{total:,}",
        f"{view}_more": f"{more:,} older ones" if more else "",
        "connect_hidden": "hidden" if state["counts"]["requests"] else "",
        "deliveries_none_hidden": "hidden" if total else "",
    }


def _campaign(row: Mapping[str, Any]) -> str:
    """The id is where a link to ``/#<campaign id>`` leads without a script."""
    audiences = ", ".join(
        f"{audience['name'] or audience['id']} ({audience['count']})" for audience in row["audiences"]
    )
    facts = f"{row['channel']} · {row['status']} · {row['when']} · to {audiences}{_twice(row)}"
    return _row(f"/campaigns/{quote(row['id'])}", row["name"], facts, id_=row["id"])


def _delivery(row: Mapping[str, Any]) -> str:
    reached = f"{row['reached']} of {row['of']}"
    facts = (row["at"], row["channel"], reached, ", ".join(row["addresses"]))
    kind = "twice" if row["times"] > 1 else ""
    return _row(f"/campaigns/{quote(row['campaign_id'])}", f"{row['name']}{_twice(row)}", " · ".join(facts), kind=kind)


def _request(row: Mapping[str, Any]) -> str:
    wrote = "committed" if row["committed"] else ""
    facts = (row["at"], f"{row['method']} {row['path']}", wrote, row["fault"] or "", row["revision"] or "")
    name = f"{row['status'] or 'cut'} {row['operation'] or 'unknown'}"
    return _row(f"/requests/{row['number']}", name, " · ".join(filter(None, facts)))


def _twice(row: Mapping[str, Any]) -> str:
    times = row["times"]
    return "" if times < 2 else " · sent twice" if times == 2 else f" · sent {times} times"


def _row(address: str, name: str, facts: str, *, kind: str = "", id_: str = "") -> str:
    here = f' id="{escape(id_)}"' if id_ else ""
    link = f'<a href="{escape(address)}"><b>{escape(name)}</b> <span class="note">{escape(facts)}</span></a>'
    return f'<li class="{kind}"{here}>{link}</li>'
