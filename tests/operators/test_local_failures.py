"""What failed before anything left this machine was not done: no retry refuses it, and none looks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.exceptions import KlaviyoError, KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from tests.conftest import Connect
from tests.support.context import MemoryStore, Task
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo
from tests.support.tasks import NAME, clone, create, send

LISTS = {"data": {"type": "list", "attributes": {"name": "New"}}}


def post(**arguments: Any) -> Task:
    given = {"task_id": "call", "operation": "create_list", "body": LISTS, **arguments}
    return Task(lambda: KlaviyoApiOperator(**given))


WRITERS = [
    pytest.param(post, "create_list", id="api"),
    pytest.param(create, "create_campaign", id="create"),
    pytest.param(clone, "create_campaign_clone", id="clone"),
    pytest.param(send, "send_campaign", id="send"),
]
writers = pytest.mark.parametrize(("write", "operation"), WRITERS)

Break = Callable[[pytest.MonkeyPatch, Connect, Klaviyo], Any]


def no_connection(monkeypatch: pytest.MonkeyPatch, _: Connect, __: Klaviyo) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_KLAVIYO_DEFAULT")


def secrets_backend_down(monkeypatch: pytest.MonkeyPatch, _: Connect, __: Klaviyo) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ConnectionError("the secrets backend does not answer (made up)")

    monkeypatch.setattr(KlaviyoHook, "get_connection", fails)


def key_that_no_header_can_hold(_: pytest.MonkeyPatch, connect: Connect, klaviyo: Klaviyo) -> None:
    connect(klaviyo.url, password="pk_\N{EURO SIGN}")


def no_certificates(monkeypatch: pytest.MonkeyPatch, connect: Connect, klaviyo: Klaviyo) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    connect(klaviyo.url.replace("http:", "https:"))


def no_such_host(_: pytest.MonkeyPatch, connect: Connect, __: Klaviyo) -> None:
    connect("http://127.0.0.1:1")


def guard_cannot_look(_: pytest.MonkeyPatch, connect: Connect, klaviyo: Klaviyo) -> None:
    connect(klaviyo.url, require_test_account=True)
    klaviyo.fail("get_accounts", "status_before_commit", status=503, times=None)


def read_only(_: pytest.MonkeyPatch, connect: Connect, klaviyo: Klaviyo) -> None:
    connect(klaviyo.url, read_only=True)


BREAKS: list[Break] = [
    no_connection,
    secrets_backend_down,
    key_that_no_header_can_hold,
    no_certificates,
    no_such_host,
    guard_cannot_look,
    read_only,
]


@writers
@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.__name__.replace("_", " "))
def test_what_could_not_be_prepared_is_done_by_the_next_try(
    klaviyo: Klaviyo, connect: Connect, write: Callable[..., Task], operation: str, broken: Break
) -> None:
    if broken is guard_cannot_look and write is not send:
        pytest.skip("the guard is about sends only")
    task = write()
    with pytest.MonkeyPatch.context() as patch:
        broken(patch, connect, klaviyo)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            task.run()
    assert task.store is not None
    assert task.store.notes == {}, caught.value
    klaviyo.mend()
    connect(klaviyo.url)
    task.run()
    assert klaviyo.counted()[operation] == 1
    assert klaviyo.counted()["get_campaigns"] == 0, "nothing is looked for"


@writers
def test_what_fails_between_the_note_and_the_call_leaves_no_note(
    klaviyo: Klaviyo, write: Callable[..., Task], operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes away right after the note was written: a later part of the task may read it again."""
    task, note = write(), MemoryStore.set
    gone: list[str] = []

    def set_(store: MemoryStore, key: str, value: Any, **options: Any) -> None:
        note(store, key, value, **options)
        if not gone:
            gone.append(key)
            raise ConnectionError("Airflow's API server took the note, and did not answer (made up)")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryStore, "set", set_)
        with pytest.raises(ConnectionError):
            task.run()
    assert gone
    if write is not post:  # the note may be there, and is looked up
        task.run()
        assert klaviyo.counted()[operation] == 1


NOT_UTF8 = "half of an emoji: \ud83d"


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"type": "list", "attributes": {"name": NOT_UTF8}}},
        {"data": {"type": "list", "attributes": {"name": float("nan")}}},
        {"data": {"type": "list", "attributes": {"name": {1, 2}}}},
    ],
    ids=["surrogate", "NaN", "a set"],
)
def test_a_body_that_cannot_be_encoded_is_mended_and_then_posted(klaviyo: Klaviyo, body: Any) -> None:
    bodies = [body, LISTS]
    task = Task(lambda: KlaviyoApiOperator(task_id="call", operation="create_list", body=bodies[0]))
    with pytest.raises(ValueError):  # noqa: PT011
        task.run()
    assert task.store is not None
    assert task.store.notes == {}
    bodies.pop(0)
    assert task.run()["data"]["attributes"]["name"] == "New"


@pytest.mark.parametrize("make", [create, clone])
def test_a_name_that_cannot_be_encoded_is_mended_and_then_used(klaviyo: Klaviyo, make: Callable[..., Task]) -> None:
    names = [f"{NAME} {NOT_UTF8}", NAME]

    def made() -> Any:
        operator: Any = make().make()
        setattr(operator, "name" if make is create else "new_name", names[0])
        return operator

    task = Task(made)
    with pytest.raises(ValueError):  # noqa: PT011
        task.run()
    assert task.store is not None
    assert task.store.notes == {}
    names.pop(0)
    campaign_id = task.run()
    assert klaviyo.named(NAME) == [campaign_id]


def test_a_file_that_is_not_there_yet_is_uploaded_by_the_next_try(klaviyo: Klaviyo, tmp_path: Path) -> None:
    file = tmp_path / "banner.png"
    task = post(operation="upload_image_from_file", body={"file": str(file)})
    with pytest.raises(KlaviyoError):
        task.run()
    assert task.store is not None
    assert task.store.notes == {}
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    task.run()
    assert klaviyo.counted()["upload_image_from_file"] == 1


@writers
def test_a_turn_that_does_not_come_leaves_no_note(
    klaviyo: Klaviyo, connect: Connect, write: Callable[..., Task], operation: str, monkeypatch: Any, tmp_path: Path
) -> None:
    """Another process was throttled for a minute, and this connection may wait for no second."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    connect(klaviyo.url, rate_limit={"max_wait": 0})
    klaviyo.fail(operation, "throttle", retry_after=61)
    with pytest.raises(KlaviyoError):
        write().run()
    assert klaviyo.fired() == [1]
    task = write()
    with pytest.raises(KlaviyoError):
        task.run()
    assert klaviyo.counted()[operation] == 1
    assert task.store is not None
    assert task.store.notes == {}


def test_what_left_and_was_not_answered_still_refuses(klaviyo: Klaviyo) -> None:
    """The other side of it: a note that must stay."""
    klaviyo.fail("create_list", "drop_before_commit")
    task = post()
    with pytest.raises(KlaviyoError):
        task.run()
    with pytest.raises(KlaviyoRefusedError):
        task.run()
    assert DRAFT_EMAIL in klaviyo.all_ids()
