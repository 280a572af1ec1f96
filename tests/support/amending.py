"""The sandbox, with some of its answers changed on their way: for what Klaviyo may answer and the sandbox does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx

from tests.support.serving import Serving

Amend = Callable[[str, dict[str, Any]], None]


class Amending(Serving):
    """Passes requests on, and the answers to reads back as amended.

    :param url: of the sandbox.
    :param amend: is given the path and the document of an answer to a GET, and may change the document in place.
    """

    def __init__(self, url: str, amend: Amend) -> None:
        self.amended = 0
        server = self
        http = httpx.Client(base_url=url, trust_env=False, timeout=10)

        class Handler(BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in LOCAL}
                answer = http.request(self.command, self.path, content=body, headers=headers)
                content = answer.content
                if self.command == "GET" and answer.status_code == 200:
                    document = answer.json()
                    amend(self.path.partition("?")[0], document)
                    changed = json.dumps(document).encode()
                    server.amended += document != answer.json()
                    content = changed
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in LOCAL:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return

        for method in ("GET", "POST", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._pass_on)
        super().__init__(Handler)


LOCAL = ("host", "content-length", "content-encoding", "transfer-encoding", "connection", "accept-encoding")


def amending_campaign(campaign_id: str, **attributes: Any) -> Amend:
    """Sets attributes of one campaign where it is read by its id; ``...`` takes an attribute away."""

    def amend(path: str, document: dict[str, Any]) -> None:
        if path == f"/api/campaigns/{campaign_id}":
            told = document["data"]["attributes"]
            told |= attributes
            for name in [name for name, value in attributes.items() if value is ...]:
                del told[name]

    return amend
