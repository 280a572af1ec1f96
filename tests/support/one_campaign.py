"""A Klaviyo with one campaign whose status a test sets: for statuses that the sandbox cannot be brought to."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote

from tests.support.serving import Serving

CAMPAIGN = "C1"


class OneCampaign(Serving):
    """Answers reads of one email campaign, its send job and its estimation, singly or in a list.

    :param status: the campaign's status.
    :param job: status of its jobs.
    :param count: its estimated recipients; ``None``: no results yet.
    :param send_time: when it will be sent.
    :param failing: an HTTP status that every read is answered with instead, while it is set.
    :param odd: a document that every read is answered with instead, while it is set.
    """

    def __init__(
        self, status: str = "Draft", *, job: str = "queued", count: int | None = None, send_time: str | None = None
    ) -> None:
        self.status = status
        self.job = job
        self.count = count
        self.send_time = send_time
        self.failing: int | None = None
        self.odd: Any = None
        self.looks = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.looks += 1
                status, body = server._answer(self.path)
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return

        super().__init__(Handler)

    def _answer(self, path: str) -> tuple[int, Any]:
        if self.failing:
            return _error(self.failing, "Failing as told.")
        if self.odd is not None:
            return 200, self.odd
        path, _, query = path.partition("?")
        match path.strip("/").split("/"):
            case ["api", "campaigns"]:
                return 200, {"data": [self._campaign()] if "email" in query else [], "links": {"next": None}}
            case ["api", "campaigns", id_] if id_ == CAMPAIGN:
                return 200, {"data": self._campaign()}
            case ["api", "campaign-send-jobs" | "campaign-recipient-estimation-jobs" as kind, id_] if id_ == CAMPAIGN:
                return 200, {"data": {"type": kind[:-1], "id": id_, "attributes": {"status": self.job}}}
            case ["api", "campaign-recipient-estimations", id_] if id_ == CAMPAIGN and self.count is not None:
                attributes = {"estimated_recipient_count": self.count}
                return 200, {"data": {"type": "campaign-recipient-estimation", "id": id_, "attributes": attributes}}
            case _:
                return _error(404, "No results.")

    def _campaign(self) -> Any:
        attributes = {"name": "One", "status": self.status, "send_time": self.send_time}
        return {"type": "campaign", "id": CAMPAIGN, "attributes": attributes, "relationships": {}}


class OneOmnichannelCampaign(OneCampaign):
    """Answers reads of one omnichannel campaign, singly or in a list, each with its messages.

    A list by the campaign's time does not have it; one of messages by their time does.

    :param messages: Klaviyo's word for the status of each message, by its id.
    :param send_times: when messages will be sent.
    """

    def __init__(self, messages: dict[str, Any], send_times: dict[str, str] | None = None) -> None:
        super().__init__()
        self.messages = messages
        self.send_times = send_times or {}
        self.updated: set[str] = set()
        """The messages that were updated lately."""

    def _answer(self, path: str) -> tuple[int, Any]:
        path, _, query = path.partition("?")
        if self.failing:
            return _error(self.failing, "Failing as told.")
        if path.strip("/") == "api/campaign-messages":
            return self._list_messages(unquote(query))
        if "include=campaign-messages" not in query:
            return _error(400, "Without messages.")
        included = [self._message(id_, status) for id_, status in self.messages.items()]
        match path.strip("/").split("/"):
            case ["api", "campaigns"]:
                data = [self._campaign()] if CAMPAIGN in query else []
                return 200, {"data": data, "included": included, "links": {"next": None}}
            case ["api", "campaigns", id_] if id_ == CAMPAIGN:
                return 200, {"data": self._campaign(), "included": included}
            case _:
                return _error(404, "No such campaign.")

    def _list_messages(self, query: str) -> tuple[int, Any]:
        messages = self.messages.items()
        found = [(id_, status) for id_, status in messages if f'equals(status,"{status}")' in query]
        if "(updated," in query:
            found = [(id_, status) for id_, status in messages if id_ in self.updated]
        body = {"data": [self._message(*one) for one in found], "links": {"next": None}}
        return 200, {**body, "included": [self._campaign()] if found and "include=campaign" in query else []}

    def _message(self, id_: str, status: Any) -> Any:
        definition = {"status": status, "send_options": {"send_time": self.send_times.get(id_)}}
        return {"type": "campaign-message", "id": id_, "attributes": {"definition": definition}}

    def _campaign(self) -> Any:
        data = [{"type": "campaign-message", "id": id_} for id_ in self.messages]
        attributes = {"definition": {"name": "One"}, "created_at": None, "updated_at": None}
        relationships = {"campaign-messages": {"data": data}}
        return {"type": "campaign", "id": CAMPAIGN, "attributes": attributes, "relationships": relationships}


def _error(status: int, detail: str) -> tuple[int, Any]:
    return status, {"errors": [{"id": "1", "status": status, "code": "c", "title": "T", "detail": detail}]}
