"""Which names are public, and on which page each of them is."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from scripts.reference.signatures import PACKAGE, methods, public

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FOLDER = DOCS / "reference"


@dataclass(frozen=True)
class Section:
    """Names of one module.

    :param names: which; empty: those that the module is imported for.
    :param title: its heading; empty: it has none.
    :param members: True if the methods and properties of its classes are shown, too.
    :param calls: True if the names are methods of the hooks.
    """

    module: str
    names: tuple[str, ...] = ()
    title: str = ""
    members: bool = False
    calls: bool = False

    @cached_property
    def things(self) -> dict[str, Any]:
        """What the names stand for."""
        of = self._module
        if self.calls:
            calls = methods(of.KlaviyoMethods)
            return {name: calls[name] for name in self.names}
        return {name: getattr(of, name) for name in self.names or public(of)}

    @property
    def _module(self) -> ModuleType:
        return import_module(f"{PACKAGE}.{self.module}")

    @property
    def imported_from(self) -> str:
        return f"{PACKAGE}.{self.module}"


@dataclass(frozen=True)
class Page:
    """One file.

    :param tables: name of a function of ``tables`` whose text comes before the names.
    """

    file: str
    title: str
    intro: str
    sections: tuple[Section, ...] = field(default=())
    tables: str = ""

    @property
    def things(self) -> dict[str, Any]:
        """All that is on the page, by name."""
        return {name: thing for section in self.sections for name, thing in section.things.items()}


def calls(title: str, module: str) -> Section:
    """The methods of the hooks that are calls of a module of ``api``."""
    hooks = import_module(f"{PACKAGE}.hooks.klaviyo")
    names = [name for name, call in methods(hooks.KlaviyoMethods).items() if call.__module__ == f"{PACKAGE}.{module}"]
    return Section("hooks.klaviyo", tuple(names), title, calls=True)


MESSAGES = ("email", "sms", "push", "action_button", "silent_push")
STRATEGIES = ("immediate", "static", "throttled", "smart_send_time")
STATUSES = ("CampaignStatus", "JobStatus")
FILTERS = (
    "equals",
    "any_of",
    "contains",
    "starts_with",
    "ends_with",
    "less_than",
    "less_or_equal",
    "greater_than",
    "greater_or_equal",
    "contains_any",
    "contains_all",
    "has",
)

PAGES = (
    Page(
        "common.md",
        "Common parameters",
        "What many operators and sensors take; their pages link here. *Templated* means that an argument may be, or "
        "have in it, Jinja or another task's output; it is checked again when it is rendered.",
        (
            Section("tasks", ("KlaviyoTask",), "Every operator and sensor"),
            Section("tasks", ("KlaviyoWaitingTask",), "Operators that wait"),
            Section("imports.task", ("KlaviyoImportTask",), "Imports of profiles"),
        ),
    ),
    Page(
        "operators-campaigns.md",
        "Operators of campaigns",
        "The campaign lifecycle; [Campaigns](../campaigns.md) goes through it.",
        (Section("operators.campaigns"),),
    ),
    Page(
        "operators-audiences.md",
        "Operators of audiences",
        "Profiles, lists, segments, consent, suppressions and events; [Audiences](../audiences.md) goes through them.",
        (Section("operators.audiences"),),
    ),
    Page(
        "operators-templates.md",
        "Operators of templates",
        "[Templates](../templates.md) goes through them.",
        (Section("operators.templates"),),
    ),
    Page(
        "operators-reports.md",
        "The operator of reports",
        "[Reports](../reports.md) goes through it.",
        (Section("operators.reports"),),
    ),
    Page(
        "operators-approval.md",
        "The operator of approvals",
        "Airflow 3.1 and later. [Approval](../approval.md) goes through it.",
        (Section("operators.approval"),),
    ),
    Page(
        "operators-api.md",
        "The operator of any operation",
        "[Operations](../operations.md) has what it can call.",
        (Section("operators.api"),),
    ),
    Page(
        "task-group.md",
        "The task group",
        "[Campaigns](../campaigns.md#a-whole-campaign-in-one-call) has an example.",
        (Section("task_groups"),),
    ),
    Page(
        "content.md",
        "Content, send strategies, tracking, statuses",
        "What a campaign contains, and when it is sent. Each function returns a plain dict, and any argument may be "
        "Jinja. What is not given is left out, so that the account's defaults apply; what Klaviyo would refuse is a "
        "[`KlaviyoValidationError`](errors.md#klaviyovalidationerror) when the DAG is imported.",
        (
            Section("campaigns", MESSAGES, "Messages"),
            Section("campaigns", STRATEGIES, "Send strategies"),
            Section("campaigns", ("tracking_options",), "Tracking"),
            Section("campaigns", STATUSES, "Statuses"),
        ),
    ),
    Page(
        "transfers.md",
        "Transfers",
        "Between Klaviyo and data stores.",
        (Section("transfers.sql_to_klaviyo"), Section("transfers.klaviyo_to_storage")),
    ),
    Page(
        "sensors.md",
        "Sensors",
        "They wait for what others began; [Waiting](../waiting.md) has when to use which.",
        (Section("sensors.campaigns"), Section("sensors.audiences")),
    ),
    Page(
        "triggers.md",
        "Triggers",
        "What waits in the triggerer. Operators and sensors make them; of your own you need "
        "`KlaviyoCampaignStatusEventTrigger`, for a DAG that is scheduled by a campaign's end.",
        (
            Section("triggers.watcher", ("KlaviyoCampaignStatusEventTrigger",)),
            Section("triggers.base", ("KlaviyoWaitTrigger",)),
            Section(
                "triggers.campaigns",
                (
                    "KlaviyoCampaignStatusTrigger",
                    "KlaviyoCampaignSendJobTrigger",
                    "KlaviyoRecipientEstimationJobTrigger",
                ),
            ),
            Section("triggers.audiences"),
            Section("triggers.jobs"),
            Section("triggers.pause"),
        ),
    ),
    Page(
        "hooks.md",
        "Hooks",
        "`KlaviyoHook` is for workers, `KlaviyoAsyncHook` for the triggerer. Both have the same methods; those of "
        "`KlaviyoAsyncHook` are awaited.",
        (
            Section("hooks.klaviyo", ("KlaviyoHook", "KlaviyoAsyncHook"), "The hooks", members=True),
            Section("hooks.klaviyo", ("KlaviyoMethods",), "Their methods"),
            Section("api.document", ("Resource", "Document"), "What they return", members=True),
            calls("Any operation", "api.calls"),
            calls("Campaigns", "api.campaigns"),
            calls("Tags", "api.tags"),
            calls("Lists and segments", "api.lists"),
            calls("Consent", "api.consent"),
            calls("Events", "api.events"),
            calls("Profiles", "api.profiles"),
            calls("Figures", "api.reports"),
            calls("Templates", "api.templates"),
        ),
    ),
    Page(
        "filters.md",
        "Filters",
        "What lists are narrowed by. Join filters with `&`; `str()` writes what Klaviyo reads. Which fields and "
        "operators an operation knows is checked before the call.",
        (Section("api.filters", FILTERS),),
    ),
    Page(
        "notifications.md",
        "The notifier",
        "[Waiting](../waiting.md#a-runs-end-as-an-event) has an example.",
        (Section("notifications.klaviyo"),),
    ),
    Page(
        "retries.md",
        "The retry policy",
        "Airflow 3.3 and later. [Reliability](../reliability.md#what-a-failed-task-means) has an example.",
        (Section("retry_policy"),),
    ),
    Page(
        "errors.md",
        "Errors",
        "Each error that this package raises: what happened, if Airflow tries again, what to do. All can be pickled, "
        "and name the field, the value, what is allowed and what to do.",
        (Section("exceptions", title="The classes", members=True),),
        tables="errors",
    ),
    Page(
        "assets.md",
        "Campaigns as assets",
        "Airflow finds these by itself; `campaign_asset` is for your DAGs.",
        (Section("assets"),),
    ),
    Page(
        "connection.md",
        "The connection, field by field",
        "[The connection](../connection.md) has how to write one, OAuth, proxies and the safety switches.",
        tables="connection",
    ),
    Page(
        "sandbox.md",
        "The sandbox's JSON",
        "What the controls of [the sandbox](../sandbox.md#controls) answer, and take.",
        tables="sandbox",
    ),
    Page(
        "pytest.md",
        "The pytest fixture",
        "[Testing your DAGs](../testing-your-dags.md) has the first test.",
        (
            Section("sandbox.testing", ("KlaviyoSandbox", "Fault"), "What a test has", members=True),
            Section("sandbox.replay", ("Replayed",), "A request that is sent again", members=True),
            Section("sandbox.embedded", ("Sandbox",), "A sandbox of your own"),
        ),
        tables="fixture",
    ),
)


def is_shown(module: str, name: str) -> bool:
    """True if a name of a module is on some page, under this module or under the one that it comes from."""
    thing = getattr(import_module(f"{PACKAGE}.{module}"), name)
    return any(thing is shown for page in PAGES for shown in page.things.values()) and not inspect.ismodule(thing)
