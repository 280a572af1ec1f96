"""The campaign values report, from what the sandbox has sent, what people did after it, and events.

Recipients are those of the deliveries whose time is in the timeframe. They react as time goes by, as
:mod:`~airflow_provider_klaviyo.sandbox.reactions` has it, unless the setting ``reactions`` is off; their orders are
those of :data:`ORDERS`. Added to that are the events of these recipients in the five days after their delivery:
conversions by the metric named in the request, opens, clicks and the like by the name of Klaviyo's own metric, as in
:data:`COUNTED`. So a report also shows what a test has posted to ``/api/events``. Choices: times are UTC; ``group``,
``variation`` and the format of a text message are null; money spent on text messages is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_klaviyo.sandbox import conditions
from airflow_provider_klaviyo.sandbox.clock import parse
from airflow_provider_klaviyo.sandbox.documents import targets
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.reactions import LASTING, Reaction, reactions
from airflow_provider_klaviyo.sandbox.refusals import invalid
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall
from airflow_provider_klaviyo.sandbox.store import Store

ATTRIBUTES = "/data/attributes"
LONGEST = 366 * 86400.0
ITEMS = 100
GROUPED_BY = ("campaign_id", "campaign_message_id", "send_channel")
NEEDED = GROUPED_BY[:2]
CHANNELS: Mapping[str, str] = {"email": "email", "sms": "sms", "mobile_push": "push-notification"}
"""The report's names of channels."""
SCALAR = {"operators": {"single": ["equals"], "list": ["contains-any"]}, "value": {"type": "string"}}
LIST = {"operators": {"list": ["contains-any", "contains-all"]}, "value": {"type": "string"}}
FILTERS: Mapping[str, Any] = {
    "send_channel": {**SCALAR, "value": {"type": "string", "enum": [*CHANNELS.values(), "whatsapp"]}},
    "campaign_id": SCALAR,
    "campaign_message_id": SCALAR,
    "campaign_message_name": SCALAR,
    "variation": SCALAR,
    "variation_name": SCALAR,
    "text_message_format": SCALAR,
    "tag_id": LIST,
    "tag_name": LIST,
}
COUNTED: Mapping[str, Sequence[str]] = {
    "opens": ("Opened Email", "Opened Push"),
    "clicks": ("Clicked Email", "Clicked SMS"),
    "bounced": ("Bounced Email", "Bounced Push"),
    "failed": ("Failed to Deliver SMS",),
    "spam_complaints": ("Marked Email as Spam",),
    "unsubscribes": ("Unsubscribed from Email Marketing", "Unsubscribed from SMS Marketing"),
}
ORDERS = ("Placed Order", "Shopify")
"""Name and integration of the metric that the orders of reactions are of."""


def query_campaign_values(call: ServedCall) -> Reply:
    """An unknown conversion metric is refused (a choice)."""
    given = call.attributes
    group_by = given.get("group_by") or GROUPED_BY
    if missing := [name for name in NEEDED if name not in group_by]:
        raise invalid(f"group_by must contain {' and '.join(missing)}.", pointer=f"{ATTRIBUTES}/group_by")
    if call.store.find("metric", given["conversion_metric_id"]) is None:
        raise invalid(
            f"There is no metric with id '{given['conversion_metric_id']}'.",
            pointer=f"{ATTRIBUTES}/conversion_metric_id",
        )
    start, end = _timeframe(given["timeframe"], call.now)
    clauses = _clauses(given.get("filter"), call.now)
    deliveries: dict[str, list[Mapping[str, Any]]] = {}
    for delivery in call.store.sends:
        if start <= parse(delivery["at"]) < end:
            deliveries.setdefault(delivery["campaign_id"], []).append(delivery)
    results = []
    for campaign_id, sent in deliveries.items():
        campaign = call.store.find("campaign", campaign_id)
        if campaign is None:
            continue
        facts = _facts(call.store, campaign)
        if not all(conditions.holds(clause, facts[clause.field]) for clause in clauses):
            continue
        reacted = list(_reactions(sent, call.now)) if call.settings.reactions else None
        statistics = _statistics(call.store, sent, given["conversion_metric_id"], reacted)
        chosen = {name: statistics[name] for name in given["statistics"]}
        results += [{"groupings": groupings, "statistics": chosen} for groupings in _groupings(facts, group_by)]
    data = {"type": "campaign-values-report", "attributes": {"results": results}}
    return Reply(200, {"data": data, "links": {"self": call.base + call.target}})


def _timeframe(given: Mapping[str, Any], now: float) -> tuple[float, float]:
    if "start" in given:
        start, end = parse(given["start"]), parse(given["end"])
        if not start < end <= start + LONGEST:
            raise invalid("The timeframe must end after it starts, within a year.", pointer=f"{ATTRIBUTES}/timeframe")
        return start, end
    first, last = _named_timeframe(given["key"], datetime.fromtimestamp(now, UTC))
    return first.timestamp(), last.timestamp()


def _named_timeframe(key: str, now: datetime) -> tuple[datetime, datetime]:
    """Where a timeframe such as ``last_week`` begins and ends. Weeks begin on Monday; ``last_30_days`` ends now."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    week = today - timedelta(days=today.weekday())
    month, year = today.replace(day=1), today.replace(month=1, day=1)
    match key.split("_"):
        case ["today"]:
            return today, now + timedelta(seconds=1)
        case ["yesterday"]:
            return today - timedelta(days=1), today
        case ["this", unit]:
            return {"week": week, "month": month, "year": year}[unit], now + timedelta(seconds=1)
        case ["last", count, "days"]:
            return today - timedelta(days=int(count)), now + timedelta(seconds=1)
        case ["last", count, "months"]:
            return _months_before(month, int(count)), month
        case ["last", "week"]:
            return week - timedelta(days=7), week
        case ["last", "month"]:
            return _months_before(month, 1), month
        case _:
            return year.replace(year=year.year - 1), year


def _months_before(month: datetime, count: int) -> datetime:
    years, index = divmod(month.year * 12 + month.month - 1 - count, 12)
    return month.replace(year=years, month=index + 1)


def _clauses(expression: str | None, now: float) -> list[conditions.Clause]:
    clauses = conditions.check(conditions.parse(expression), FILTERS, now) if expression else []
    fields = [clause.field for clause in clauses]
    for clause in clauses:
        if fields.count(clause.field) > 1:
            raise invalid(f"'{clause.field}' is filtered on more than once.", pointer=f"{ATTRIBUTES}/filter")
        if isinstance(clause.value, list) and len(clause.value) > ITEMS:
            raise invalid(f"A list in a filter has at most {ITEMS} items.", pointer=f"{ATTRIBUTES}/filter")
    return clauses


def _facts(store: Store, campaign: Entity) -> dict[str, Any]:
    """What can be grouped by and filtered on; a list for tags."""
    message = targets(store, campaign, "campaign-messages")[0]
    tags = targets(store, campaign, "tags")
    return {
        "campaign_id": campaign.id,
        "campaign_message_id": message.id,
        "campaign_message_name": message.attributes["definition"].get("label") or campaign.attributes["name"],
        "send_channel": CHANNELS[message.attributes["definition"]["channel"]],
        "group": None,
        "group_name": None,
        "text_message_format": None,
        "variation": None,
        "variation_name": None,
        "tag_id": [tag.id for tag in tags],
        "tag_name": [tag.attributes["name"] for tag in tags],
    }


def _groupings(facts: Mapping[str, Any], group_by: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row, or one for each tag when grouped by tags."""
    is_by_tag = any(name.startswith("tag_") for name in group_by)
    for number in range(len(facts["tag_id"]) or 1) if is_by_tag else [0]:
        yield {name: (facts[name] or [None])[number] if name.startswith("tag_") else facts[name] for name in group_by}


def _reactions(deliveries: Sequence[Mapping[str, Any]], now: float) -> Iterator[Reaction]:
    for one in deliveries:
        for address in one["audience"][: one["sent"]]:
            yield from reactions(one["campaign_id"], one["channel"], address, now - parse(one["at"]))


def _statistics(
    store: Store,
    deliveries: Sequence[Mapping[str, Any]],
    conversion_metric: str,
    reacted: Sequence[Reaction] | None,
) -> dict[str, float]:
    """All statistics of some deliveries of one campaign; rates are fractions, 0 of nothing.

    :param reacted: what people did besides events; ``None``: that is not looked at, and all is delivered at once.
    """
    metrics = {metric.attributes["name"]: metric.id for metric in store.all("metric")}
    counts: dict[str, int] = {}
    uniques: dict[str, int] = {}
    for name, names in COUNTED.items():
        who = [one.address for one in reacted or () if one.kind == name]
        posted = _events(store, deliveries, {metrics[one] for one in names if one in metrics})
        who += [address for address, _ in posted]
        counts[name], uniques[name] = len(who), len(set(who))
    conversions = list(_events(store, deliveries, {conversion_metric}))
    if _name_of(store.get("metric", conversion_metric)) == ORDERS:
        conversions += [(one.address, one.value) for one in reacted or () if one.kind == "orders"]
    buyers = len({address for address, _ in conversions})
    value = round(float(sum(value for _, value in conversions)), 2)
    recipients = sum(delivery["sent"] for delivery in deliveries)
    lost = counts["bounced"] + counts["failed"]
    bounced_by_itself = sum(one.kind == "bounced" for one in reacted or ())
    arrived = recipients if reacted is None else sum(one.kind == "delivered" for one in reacted)
    delivered = max(0, arrived - (lost - bounced_by_itself))
    texts = sum(delivery["sent"] for delivery in deliveries if delivery["channel"] == "sms")
    return {
        "average_order_value": _ratio(value, len(conversions)),
        "bounce_rate": _ratio(counts["bounced"], recipients),
        "bounced": counts["bounced"],
        "bounced_or_failed": lost,
        "bounced_or_failed_rate": _ratio(lost, recipients),
        "click_rate": _ratio(uniques["clicks"], delivered),
        "click_to_open_rate": _ratio(uniques["clicks"], uniques["opens"]),
        "clicks": counts["clicks"],
        "clicks_unique": uniques["clicks"],
        "conversion_rate": _ratio(buyers, delivered),
        "conversion_uniques": buyers,
        "conversion_value": value,
        "conversions": len(conversions),
        "delivered": delivered,
        "delivery_rate": _ratio(delivered, recipients),
        "failed": counts["failed"],
        "failed_rate": _ratio(counts["failed"], recipients),
        "message_segment_count_sum": texts,
        "open_rate": _ratio(uniques["opens"], delivered),
        "opens": counts["opens"],
        "opens_unique": uniques["opens"],
        "recipients": recipients,
        "revenue_per_recipient": _ratio(value, delivered),
        "spam_complaint_rate": _ratio(uniques["spam_complaints"], delivered),
        "spam_complaints": counts["spam_complaints"],
        "text_message_credit_usage_amount": 0.0,
        "text_message_roi": 0.0,
        "text_message_spend": 0.0,
        "unsubscribe_rate": _ratio(uniques["unsubscribes"], delivered),
        "unsubscribe_uniques": uniques["unsubscribes"],
        "unsubscribes": counts["unsubscribes"],
    }


def _name_of(metric: Entity) -> tuple[str, str]:
    return metric.attributes["name"], metric.attributes["integration"]["name"]


def _events(store: Store, deliveries: Sequence[Mapping[str, Any]], metric_ids: set[str]) -> Iterator[tuple[str, float]]:
    """The address and the value of each event of these metrics that follows one of the deliveries to its profile."""
    reached = [(parse(one["at"]), set(one["audience"][: one["sent"]])) for one in deliveries]
    for event in store.all("event"):
        profile = store.find("profile", event.relationships["profile"])
        if event.relationships["metric"] not in metric_ids or profile is None:
            continue
        addresses = {profile.attributes["email"], profile.attributes["phone_number"], f"push:{profile.id}"}
        happened = parse(event.attributes["datetime"])
        for at, audience in reached:
            if at <= happened <= at + LASTING and addresses & audience:
                yield min(addresses & audience), event.internal["value"] or 0
                break


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


HANDLERS: Mapping[str, Handler] = {"query_campaign_values": query_campaign_values}
