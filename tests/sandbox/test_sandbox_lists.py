"""Lists: filters, pages, order, sparse fields, included resources."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CHANNEL = "equals(messages.channel,'email')"
SEEDED = {"Holiday Sale: Email Campaign", "Holiday Sale", "Summer Sale (last year)"}


def found(api: Any, expression: str) -> set[str]:
    answer = api.get("/api/campaigns", filter=expression)
    assert answer.status_code == 200, answer.text
    return {item["attributes"]["name"] for item in answer.json()["data"]}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (CHANNEL, SEEDED),
        ('equals(messages.channel,"email")', SEEDED),
        ("equals(messages.channel, 'email')", SEEDED),
        ("equals(messages.channel,'sms')", {"Holiday Sale: SMS Campaign"}),
        ("equals(messages.channel,'mobile_push')", set()),
        (f"and({CHANNEL},contains(name,'Holiday Sale'))", SEEDED - {"Summer Sale (last year)"}),
        (f"{CHANNEL},contains(name,'Summer')", {"Summer Sale (last year)"}),
        (f"and({CHANNEL},equals(status,'Sent'))", {"Summer Sale (last year)"}),
        (f"and({CHANNEL},any(status,['Sent','Draft']))", SEEDED),
        (f"and({CHANNEL},any(id,['01HP76BB2M2R3MSXY1HPGN0ZBS','NOPE01']))", {"Holiday Sale"}),
        (f"and({CHANNEL},equals(archived,true))", set()),
        (f"and({CHANNEL},equals(archived,false))", SEEDED),
        (f"and({CHANNEL},greater-or-equal(created_at,2026-01-05T09:00:00Z))", SEEDED),
        (f"and({CHANNEL},greater-than(created_at,2026-01-05T09:00:00Z))", set()),
        (f"and({CHANNEL},less-than(created_at,2026-01-05T10:00:00+00:00))", SEEDED),
        (f"and({CHANNEL},less-than(scheduled_at,2026-02-01T00:00:00Z))", {"Summer Sale (last year)"}),
    ],
)
def test_a_filter_selects(api, expression, names):
    assert found(api, expression) == names


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("contains(name,'x')", "channel filter is required"),
        (
            f"and({CHANNEL},equals(name,'x'))",
            "'equals' is not an allowed filter operator for name.  Allowed operators are contains",
        ),
        (f"and({CHANNEL},equals(colour,'red'))", "'colour' is not an allowed filter field"),
        (f"and({CHANNEL},equals(status,'Flying'))", "'Flying' is not a valid value"),
        (f"and({CHANNEL},equals(archived,'true'))", "must not be quoted"),
        (f"and({CHANNEL},equals(id,'x'))", "Allowed operators are any"),
        (f"and({CHANNEL},any(id,'x'))", "takes a list"),
        (f"and({CHANNEL},less-than(created_at,'2026-01-05T09:00:00Z'))", "must not be quoted"),
        (f"and({CHANNEL},less-than(created_at,soon))", "not a valid datetime"),
        ("equals(messages.channel,email)", "must be quoted"),
        ("equals(messages.channel,'fax')", "not a valid value"),
        (f"and({CHANNEL}", "expected ')' at character 37, found the end"),
        (f"{CHANNEL})", "expected a comma or the end"),
        ("messages.channel='email'", "expected '('"),
        (f"{CHANNEL},contains(name,'x)", "expected a closing '"),
        ("and(" * 101 + CHANNEL + ")" * 101, "at most 100 times 'and'"),
    ],
)
def test_a_filter_that_is_not_allowed_is_refused_with_the_reason(api, expression, words):
    answer = api.get("/api/campaigns", filter=expression)
    assert answer.status_code == 400
    error = answer.json()["errors"][0]
    assert words in error["detail"]
    assert error["source"] == {"parameter": "filter"}


def test_a_list_without_the_required_filter_is_refused(api):
    answer = api.get("/api/campaigns")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": "filter"}


@given(name=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_can_be_searched_for(api, name):
    api.create(name, template=None)
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    assert name in found(api, f'and({CHANNEL},contains(name,"{escaped}"))')


def test_pages_follow_one_another_by_the_links_alone(api):
    names = [f"Sale {number:02}" for number in range(12)]
    for name in names:
        api.create(name, template=None)
    seen: list[str] = []
    answer = api.query("/api/campaigns", {"filter": f"{CHANNEL},contains(name,'Sale ')", "page[size]": "5"})
    sizes = []
    while True:
        page = answer.json()
        sizes.append(len(page["data"]))
        seen += [item["attributes"]["name"] for item in page["data"] if item["attributes"]["name"] in names]
        if page["links"]["next"] is None:
            break
        assert page["links"]["next"].startswith(api.url)
        answer = api.http.get(page["links"]["next"])
    assert seen == names
    assert sizes == [5, 5, 3]
    assert answer.json()["links"]["prev"] is not None


def test_a_campaign_made_between_two_pages_shifts_nothing(api):
    for number in range(4):
        api.create(f"Page {number}", template=None)
    query = {"filter": f"{CHANNEL},contains(name,'Page ')", "page[size]": "2", "sort": "-created_at"}
    first = api.query("/api/campaigns", query).json()
    api.create("Page new", template=None)
    second = api.http.get(first["links"]["next"]).json()
    names = [item["attributes"]["name"] for item in first["data"] + second["data"]]
    assert sorted(names) == ["Page 0", "Page 1", "Page 2", "Page 3"]


def test_a_page_has_as_many_as_published_unless_told(api):
    for number in range(12):
        body = {"data": {"type": "list", "attributes": {"name": f"List {number}"}}}
        assert api.send("POST", "/api/lists", body).status_code == 201
    assert len(api.get("/api/lists").json()["data"]) == 10
    assert len(api.query("/api/lists", {"page[size]": "3"}).json()["data"]) == 3


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("/api/lists", {"page[size]": "11"}, "page[size]"),
        ("/api/campaigns/01HP76BB2M2R3MSXY1HPGN0ZBS/campaign-messages", {"page[size]": "5"}, "page[size]"),
        ("/api/lists", {"page[cursor]": "nonsense"}, "page[cursor]"),
        ("/api/lists", {"sort": "colour"}, "sort"),
        ("/api/lists", {"include": "colour"}, "include"),
        ("/api/lists", {"colour": "red"}, "colour"),
        ("/api/lists", {"additional-fields[list]": "profile_count"}, "additional-fields[list]"),
        ("/api/campaigns", {"filter": CHANNEL, "fields[campaign-message]": "label"}, "fields[campaign-message]"),
    ],
)
def test_a_query_parameter_that_is_not_published_is_refused_by_name(api, path, query, parameter):
    answer = api.query(path, query)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": parameter}


@pytest.mark.parametrize("field", ["created_at", "id", "name", "scheduled_at", "updated_at"])
def test_a_list_is_sorted_either_way(api, field):
    for number in range(3):
        api.create(f"Sale {number}", template=None)

    def order(sort: str) -> list[str]:
        return [item["id"] for item in api.get("/api/campaigns", filter=CHANNEL, sort=sort).json()["data"]]

    assert order(field) == order(f"-{field}")[::-1]
    assert len(set(order(field))) == 6


def test_a_sparse_answer_has_the_fields_asked_for_and_no_relationships(api):
    fields = {"filter": CHANNEL, "fields[campaign]": "status,send_strategy.method"}
    for item in api.query("/api/campaigns", fields).json()["data"]:
        assert set(item["attributes"]) == {"status", "send_strategy"}
        assert set(item["attributes"]["send_strategy"]) == {"method"}
        assert "relationships" not in item


def test_included_resources_come_once_and_tags_carry_data_only_then(api):
    query = {"filter": CHANNEL, "include": "campaign-messages,tags"}
    answer = api.query("/api/campaigns", query).json()
    assert sorted(item["type"] for item in answer["included"]) == ["campaign-message"] * 3 + ["tag"]
    assert all("data" in item["relationships"]["tags"] for item in answer["data"])
    plain = api.get("/api/campaigns", filter=CHANNEL).json()
    assert "included" not in plain
    assert all("data" not in item["relationships"]["tags"] for item in plain["data"])
    assert all("data" in item["relationships"]["campaign-messages"] for item in plain["data"])


def test_links_lead_to_where_they_say(api):
    [first, *_] = api.get("/api/campaigns", filter=CHANNEL).json()["data"]
    messages = first["relationships"]["campaign-messages"]
    assert api.http.get(first["links"]["self"]).json()["data"]["id"] == first["id"]
    assert api.http.get(messages["links"]["self"]).json()["data"] == messages["data"]
    assert api.http.get(messages["links"]["related"]).json()["data"][0]["id"] == messages["data"][0]["id"]
