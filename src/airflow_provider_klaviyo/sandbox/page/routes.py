"""Where the page, its files and its state are served."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from airflow_provider_klaviyo.sandbox.faults import Faults
from airflow_provider_klaviyo.sandbox.journal import Journal
from airflow_provider_klaviyo.sandbox.page.campaign import opened
from airflow_provider_klaviyo.sandbox.page.html import page
from airflow_provider_klaviyo.sandbox.page.state import overview
from airflow_provider_klaviyo.sandbox.service import Klaviyo

STATIC = Path(__file__).parent / "static"
FILES = frozenset(path.name for path in STATIC.iterdir())

# A preview frame inherits this policy, and emails are styled inline: hence 'unsafe-inline', for styles only.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class PageRoutes:
    """Answers what a browser asks for."""

    def __init__(self, klaviyo: Klaviyo, journal: Journal, faults: Faults) -> None:
        self.klaviyo = klaviyo
        self.journal = journal
        self.faults = faults

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.show),
            web.get("/page/{name}", self.file),
            web.get("/sandbox/state", self.show_state),
        ]

    async def show(self, request: web.Request) -> web.Response:
        self.klaviyo.catch_up()
        state = overview(self.klaviyo, self.journal, self.faults)
        url = f"{request.scheme}://{request.host}"
        return web.Response(text=page(state, url), content_type="text/html", headers=HEADERS)

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in FILES:
            raise web.HTTPNotFound
        return web.FileResponse(STATIC / name, headers=HEADERS)

    async def show_state(self, request: web.Request) -> web.Response:
        """The state as JSON. ``open`` is a campaign's id, ``reader`` one of its recipients; ``campaigns`` and
        ``requests`` are texts to look for."""
        self.klaviyo.catch_up()
        asked = request.query
        state = overview(
            self.klaviyo, self.journal, self.faults, named=asked.get("campaigns", ""), find=asked.get("requests", "")
        )
        if id_ := asked.get("open"):
            state["campaign"] = opened(self.klaviyo, self.journal, id_, asked.get("reader", ""))
        return web.json_response(state, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
