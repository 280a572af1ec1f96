"""Where the page, its files and its state are served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from airflow_provider_klaviyo.sandbox.faults import Faults
from airflow_provider_klaviyo.sandbox.journal import Journal
from airflow_provider_klaviyo.sandbox.page import requests
from airflow_provider_klaviyo.sandbox.page.campaign import opened
from airflow_provider_klaviyo.sandbox.page.html import TABS, page
from airflow_provider_klaviyo.sandbox.page.state import overview
from airflow_provider_klaviyo.sandbox.service import Klaviyo

STATIC = Path(__file__).parent / "static"
FILES = frozenset(path.name for path in STATIC.iterdir())

# A preview frame inherits this policy, and emails are styled inline: hence 'unsafe-inline', for styles only.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TAB_NAMES = tuple(TABS)
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
        tabs = [web.get(address, self._tab(view)) for view, (address, _) in TABS.items()]
        return [
            *tabs,
            web.get("/campaigns/{id}", self.show_campaign),
            web.get("/requests/{number}", self.show_request),
            web.get("/page/{name}", self.file),
            web.get("/sandbox/state", self.show_state),
        ]

    def _tab(self, view: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def show(request: web.Request) -> web.Response:
            return self._page(request, view)

        return show

    async def show_campaign(self, request: web.Request) -> web.Response:
        id_ = request.match_info["id"]
        campaign = self.klaviyo.store.find("campaign", id_)
        title = campaign.attributes["name"] if campaign else "No such campaign"
        return self._page(request, "campaign", id_, title, status=200 if campaign else 404)

    async def show_request(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        is_there = requests.find(self.journal, number) is not None
        return self._page(request, "request", number, status=200 if is_there else 404)

    def _page(
        self, request: web.Request, view: str, open_: str = "", title: str = "", status: int = 200
    ) -> web.Response:
        """What other machines may see, too: so the bodies of requests are not in it, and come with the state."""
        self.klaviyo.catch_up()
        views = (view,) if view in ("campaigns", "deliveries", "requests") else ()
        state = overview(self.klaviyo, self.journal, self.faults, {}, views)
        text = page(view, state, _own_url(request), open_=open_, title=title)
        return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in FILES:
            raise web.HTTPNotFound
        return web.FileResponse(STATIC / name, headers=HEADERS)

    async def show_state(self, request: web.Request) -> web.Response:
        """The state as JSON. ``view`` is the one that is asked for: a tab's name, ``campaign`` or ``request``; all tabs
        when it is missing. ``open`` is a campaign's id, ``reader`` one of its recipients, ``number`` a request's; the
        texts to look for are those of :func:`~airflow_provider_klaviyo.sandbox.page.state.overview`."""
        self.klaviyo.catch_up()
        asked = request.query
        view = asked.get("view")
        views = TAB_NAMES if view is None else (view,)
        state = overview(self.klaviyo, self.journal, self.faults, asked, views)
        if id_ := asked.get("open"):
            state["campaign"] = opened(self.klaviyo, self.journal, id_, asked.get("reader", ""))
        if number := asked.get("number"):
            state["request"] = requests.opened(self.journal, number, _own_url(request))
        return web.json_response(state, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def _own_url(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"
