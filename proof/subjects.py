"""The lifecycles that are put to the test: this package's, a mutant of it, and two others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow.sdk import BaseOperator
from klaviyo_api import KlaviyoAPI  # type: ignore[import-untyped]

from airflow_provider_klaviyo.campaigns import email, immediate
from airflow_provider_klaviyo.operators.api import KlaviyoApiOperator
from airflow_provider_klaviyo.operators.campaigns import (
    KlaviyoAssignTemplateOperator,
    KlaviyoCloneCampaignOperator,
    KlaviyoCreateCampaignOperator,
    KlaviyoEstimateRecipientsOperator,
    KlaviyoSendCampaignOperator,
)
from proof.airflow import Run, Task, forgets_nothing

CONN_ID = "never_twice"
LIST, OTHER_LIST, TEMPLATE, SOURCE = "YzykDM", "WEmgye", "RipRmi", "01HP76BB2M2R3MSXY1HPGN0ZBS"
"""Things in the sandbox's seed: two lists, a template, and a campaign to clone."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A lifecycle: make a campaign, give it its content, count its recipients, send it, wait.

    :param key: its name on the command line.
    :param title: its name in the report.
    :param has_store: True if its Airflow has a state store.
    :param forgets_on_clear: True if a clear empties it.
    :param names: how many campaigns (or other things) each run makes.
    :param forgets: notes that its state store loses on purpose.
    """

    key: str
    title: str
    tasks: Callable[[], list[Task]]
    has_store: bool = True
    forgets_on_clear: bool = False
    names: int = 1
    forgets: Callable[[str, Any], bool] = forgets_nothing


# --- ours ------------------------------------------------------------------------------------------------------------


def _create(run: Run, number: int = 0) -> KlaviyoCreateCampaignOperator:
    run.made_for = run.audience
    return KlaviyoCreateCampaignOperator(
        task_id="create",
        klaviyo_conn_id=CONN_ID,
        name=run.names[number],
        audiences={"included": [run.audience]},
        messages=[email(subject="Sale", label="Sale")],
    )


def _clone(run: Run) -> KlaviyoCloneCampaignOperator:
    """The source is for the first audience; a DAG that says another one replaces it."""
    run.made_for = run.audience
    audiences = None if run.audience == LIST else {"included": [run.audience]}
    return KlaviyoCloneCampaignOperator(
        task_id="create",
        klaviyo_conn_id=CONN_ID,
        campaign_id=SOURCE,
        new_name=run.names[0],
        audiences=audiences,
        send_strategy=immediate(),
    )


def _assign(run: Run) -> KlaviyoAssignTemplateOperator:
    return KlaviyoAssignTemplateOperator(
        task_id="assign", klaviyo_conn_id=CONN_ID, campaign_id=run.xcom("create"), template_id=TEMPLATE
    )


def _estimate(run: Run) -> KlaviyoEstimateRecipientsOperator:
    return KlaviyoEstimateRecipientsOperator(
        task_id="estimate", klaviyo_conn_id=CONN_ID, campaign_id=run.xcom("create"), minimum=1, deferrable=True
    )


def _estimate_too_many(run: Run) -> KlaviyoEstimateRecipientsOperator:
    return KlaviyoEstimateRecipientsOperator(
        task_id="estimate", klaviyo_conn_id=CONN_ID, campaign_id=run.xcom("create"), maximum=1, deferrable=True
    )


def _send(run: Run) -> KlaviyoSendCampaignOperator:
    return KlaviyoSendCampaignOperator(
        task_id="send", klaviyo_conn_id=CONN_ID, campaign_id=run.xcom("create"), deferrable=True
    )


class _Several(BaseOperator):
    """A task function that calls several operators, one after the other."""

    def __init__(self, *, calls: Sequence[Callable[[], Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls = calls

    def execute(self, context: Any) -> list[Any]:
        return [make().execute(context) for make in self.calls]


def _several(task_id: str, make: Callable[[Run, int], Any]) -> Task:
    def made(run: Run) -> _Several:
        return _Several(task_id=task_id, calls=[partial(make, run, number) for number in range(len(run.names))])

    return Task(task_id, made)


def _assign_one(run: Run, number: int) -> KlaviyoAssignTemplateOperator:
    return KlaviyoAssignTemplateOperator(
        task_id="assign", klaviyo_conn_id=CONN_ID, campaign_id=run.xcom("create")[number], template_id=TEMPLATE
    )


def _send_one(run: Run, number: int) -> KlaviyoSendCampaignOperator:
    return KlaviyoSendCampaignOperator(
        task_id="send", klaviyo_conn_id=CONN_ID, campaign_id=run.xcom("create")[number], deferrable=False
    )


def _post_one(run: Run, number: int) -> KlaviyoApiOperator:
    body = {"data": {"type": "list", "attributes": {"name": run.names[number]}}}
    return KlaviyoApiOperator(task_id="send", klaviyo_conn_id=CONN_ID, operation="create_list", body=body)


def _two_in_one_task() -> list[Task]:
    return [_several("create", _create), _several("assign", _assign_one), _several("send", _send_one)]


def _tasks(make: Callable[[Run], Any], estimate: Callable[[Run], Any] = _estimate) -> list[Task]:
    return [Task("create", make), Task("assign", _assign), Task("estimate", estimate), Task("send", _send)]


def _forgets_intents(key: str, value: Any) -> bool:
    return key == "klaviyo_intent" or (key == "klaviyo_send" and not value.get("accepted"))


# --- the official SDK in plain callables ------------------------------------------------------------------------------


@dataclass
class _PythonOperator:
    """What a PythonOperator does: call a function, return what it returns."""

    function: Callable[[], Any]

    def execute(self, context: Any) -> Any:
        return self.function()


def _api(run: Run) -> Any:
    return KlaviyoAPI(
        "pk_never_twice", test_host=run.world.url, options={"USE_DICTIONARY_FOR_RESPONSE_DATA": True}
    ).Campaigns


def _sdk(work: Callable[[Any, Run, Mapping[str, Any]], Any]) -> Callable[[Run], _PythonOperator]:
    """The SDK waits for an answer for ever; it is given the time-out that a careful author adds."""

    def make(run: Run) -> _PythonOperator:
        return _PythonOperator(lambda: work(_api(run), run, {"_request_timeout": (5, run.world.patience)}))

    return make


def _sdk_create(api: Any, run: Run, options: Mapping[str, Any]) -> str:
    message = {"type": "campaign-message", "attributes": {"definition": email(subject="Sale", label="Sale")}}
    attributes = {
        "name": run.names[0],
        "audiences": {"included": [run.audience]},
        "campaign-messages": {"data": [message]},
    }
    return str(api.create_campaign({"data": {"type": "campaign", "attributes": attributes}}, **options)["data"]["id"])


def _sdk_assign(api: Any, run: Run, options: Mapping[str, Any]) -> None:
    message = api.get_messages_for_campaign(run.xcom("create"), **options)["data"][0]["id"]
    template = {"template": {"data": {"type": "template", "id": TEMPLATE}}}
    api.assign_template_to_campaign_message(
        {"data": {"type": "campaign-message", "id": message, "relationships": template}}, **options
    )


def _sdk_estimate(api: Any, run: Run, options: Mapping[str, Any]) -> int:
    campaign = run.xcom("create")
    body = {"data": {"type": "campaign-recipient-estimation-job", "id": campaign}}
    api.refresh_campaign_recipient_estimation(body, **options)
    for _ in range(60):
        job = api.get_campaign_recipient_estimation_job(campaign, **options)
        if job["data"]["attributes"]["status"] == "complete":
            break
        time.sleep(5)
    found = api.get_campaign_recipient_estimation(campaign, **options)
    return int(found["data"]["attributes"]["estimated_recipient_count"])


def _sdk_send(api: Any, run: Run, options: Mapping[str, Any]) -> str:
    campaign = run.xcom("create")
    api.send_campaign({"data": {"type": "campaign-send-job", "id": campaign}}, **options)
    for _ in range(120):
        status = api.get_campaign(campaign, **options)["data"]["attributes"]["status"]
        if status == "Sent":
            return str(campaign)
        if status.startswith("Cancelled"):
            raise RuntimeError(f"campaign {campaign} is {status}")
        time.sleep(30)
    raise TimeoutError(f"campaign {campaign} is not sent")


def _sdk_tasks() -> list[Task]:
    return [
        Task("create", _sdk(_sdk_create)),
        Task("assign", _sdk(_sdk_assign)),
        Task("estimate", _sdk(_sdk_estimate)),
        Task("send", _sdk(_sdk_send)),
    ]


# --- Airflow's ResumableJobMixin over our client ---------------------------------------------------------------------


def _mixin_tasks() -> list[Task]:
    """Needs Airflow 3.3."""
    from proof.resumable import ResumableCreate, ResumableSend

    return [
        Task("create", lambda run: ResumableCreate(task_id="create", conn_id=CONN_ID, included=LIST, run=run)),
        Task("assign", _assign),
        Task("estimate", _estimate),
        Task("send", lambda run: ResumableSend(task_id="send", conn_id=CONN_ID, run=run)),
    ]


SUBJECTS: Mapping[str, Subject] = {
    subject.key: subject
    for subject in (
        Subject("create", "this package, create and send, Airflow 3.3", lambda: _tasks(_create)),
        Subject("clone", "this package, clone and send, Airflow 3.3", lambda: _tasks(_clone)),
        Subject("create-3.0", "this package, create and send, Airflow 3.0", lambda: _tasks(_create), has_store=False),
        Subject("clone-3.0", "this package, clone and send, Airflow 3.0", lambda: _tasks(_clone), has_store=False),
        Subject(
            "create-3.4",
            "this package, create and send, Airflow 3.4 (a clear forgets)",
            lambda: _tasks(_create),
            forgets_on_clear=True,
        ),
        Subject(
            "clone-3.4",
            "this package, clone and send, Airflow 3.4 (a clear forgets)",
            lambda: _tasks(_clone),
            forgets_on_clear=True,
        ),
        Subject("two", "this package, two made and sent in one task, Airflow 3.3", _two_in_one_task, names=2),
        Subject(
            "two-3.4",
            "this package, two made and sent in one task, Airflow 3.4",
            _two_in_one_task,
            forgets_on_clear=True,
            names=2,
        ),
        Subject(
            "posts",
            "this package, two other POSTs in one task, Airflow 3.3",
            lambda: [_several("send", _post_one)],
            names=2,
        ),
        Subject("mutant", "this package without its intent notes", lambda: _tasks(_create), forgets=_forgets_intents),
        Subject("mixin", "ResumableJobMixin operators", _mixin_tasks),
        Subject("sdk", "klaviyo-api 23 in PythonOperators", _sdk_tasks),
        Subject("guard", "this package, too many recipients", lambda: _tasks(_create, _estimate_too_many)),
    )
}
OURS = ("create", "clone", "create-3.4", "clone-3.4", "create-3.0", "clone-3.0", "two", "two-3.4", "posts", "guard")
OTHERS = ("mutant", "mixin", "sdk")
