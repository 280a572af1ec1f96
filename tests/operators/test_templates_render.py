"""What Klaviyo makes of a template is checked before anybody gets it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.exceptions import AirflowFailException

from airflow_provider_klaviyo.campaigns.mail import CHECKS
from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoNotFoundError,
    KlaviyoTemplateCheckError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.templates import KlaviyoRenderTemplateOperator
from tests.conftest import KEY, Connect
from tests.support.context import Task
from tests.support.rendering import rendered, run
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, TEMPLATE, Klaviyo
from tests.support.tasks import create, task

ELIF, ELIFS_ADDRESS = "01J0PR0F11E000000000000005", "elif.daisy@example.com"
PRODUCTS = "<ul>{% for item in items %}<li>{{ item.name }}</li>{% endfor %}</ul>{% unsubscribe %}"


def check(**arguments: Any) -> Task:
    return task(KlaviyoRenderTemplateOperator, arguments)


def template(html: str, text: str | None = None) -> str:
    return KlaviyoHook().create_template("News", html, text=text).id


def failed(**arguments: Any) -> KlaviyoTemplateCheckError:
    with pytest.raises(KlaviyoTemplateCheckError) as caught:
        check(**arguments).run()
    assert isinstance(caught.value, AirflowFailException), "Airflow does not retry it"
    return caught.value


# --- a fit mail, and an unfit one -------------------------------------------------------------------------------------


def test_a_fit_mail_passes_and_the_result_is_small(klaviyo: Klaviyo) -> None:
    result = check(template_id=TEMPLATE, context={"first_name": "Ada"}, expect=["up to 70% off"], forbid=["TODO"]).run()
    assert result == {
        "template_id": TEMPLATE,
        "name": "Holiday sale",
        "characters": result["characters"],
        "checks": [*CHECKS, "expect 'up to 70% off'", "forbid 'TODO'"],
    }
    assert result["characters"] > 200
    assert [row["operation"] for row in klaviyo.requests()] == ["get_template", "render_template"]
    assert not any(row["committed"] for row in klaviyo.requests())


def test_an_unfit_mail_fails_and_each_check_is_named_with_an_excerpt(klaviyo: Klaviyo) -> None:
    broken = template(
        "<p>Hi {{ first_name }}, lorem ipsum</p><ul>{% for i in items %}<li>{{ i }}</li>{% endfor %}</ul>{{ x"
    )
    error = failed(template_id=broken, expect=["Spring sale"], forbid=["re:lorem\\s"])
    assert list(error.failed) == [
        *("unrendered_tags", "placeholder_text", "missing_values", "empty_list", "unsubscribe_link"),
        *("expect 'Spring sale'", "forbid 're:lorem\\\\s'"),
    ]
    assert error.template_id == broken
    message = str(error)
    for words in (
        broken,
        "fails 7 checks",
        "'Hi , lorem ipsum {{ x'",
        "<ul>",
        "skip_checks",
        "changes and sends nothing",
    ):
        assert words in message
    assert all(len(what) < 200 for what in error.failed.values())


def test_the_error_keeps_its_facts_when_it_is_copied_and_pickled(klaviyo: Klaviyo) -> None:
    error = failed(template_id=template("<p>lorem ipsum</p>"), skip_checks=["unsubscribe_link"])
    for one in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert (one.template_id, one.failed, str(one)) == (error.template_id, error.failed, str(error))


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "empty_mail"])
def test_each_check_is_left_out_by_its_name(klaviyo: Klaviyo, name: str) -> None:
    broken = template("<p>Hi {{ first_name }}, lorem ipsum</p><ul></ul>{{ x")
    assert name in failed(template_id=broken).failed
    assert name not in failed(template_id=broken, skip_checks=[name]).failed
    assert check(template_id=broken, skip_checks=list(CHECKS)).run()["checks"] == []


@pytest.mark.parametrize("html", ["", " ", "<html><body></body></html>"])
def test_an_empty_mail_fails(klaviyo: Klaviyo, html: str) -> None:
    assert "empty_mail" in failed(template_id=template(html)).failed


def test_an_empty_product_list_fails_and_one_with_products_passes(klaviyo: Klaviyo) -> None:
    news = template(PRODUCTS)
    assert list(failed(template_id=news).failed) == ["empty_list"]
    three = r"re:(?s)(<li>.*){3}"
    items = [{"name": name} for name in ("Lamp", "Desk", "Chair")]
    assert list(failed(template_id=news, context={"items": items[:2]}, expect=[three]).failed) == [f"expect {three!r}"]
    assert check(template_id=news, context={"items": items}, expect=[three, "Desk"]).run()["name"] == "News"


def test_a_mail_of_5_megabytes_passes_with_a_warning_and_is_not_in_the_result(
    klaviyo: Klaviyo, capsys: pytest.CaptureFixture[str]
) -> None:
    result = check(template_id=template("<p>" + "word " * 1_000_000 + "</p>{% unsubscribe %}")).run()
    assert result["characters"] > 5_000_000
    assert len(repr(result)) < 500
    assert "Gmail cuts off what is beyond 102,000" in capsys.readouterr().out


@pytest.mark.parametrize(
    "html", ["{% elsif x %}", "<p>{% if x %}</p>", "{{ x|default: 'y' }}", "{% coupon_code 'SALE' %}"]
)
def test_a_template_that_klaviyo_cannot_fill_in_fails_at_once_with_its_words(klaviyo: Klaviyo, html: str) -> None:
    error = failed(template_id=template(html))
    assert list(error.failed) == ["render"]
    assert "Unable to render given template" in error.failed["render"]
    assert len(klaviyo.requests("render_template")) == 1


# --- whose values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", [{"profile_id": ELIF}, {"profile_email": ELIFS_ADDRESS}], ids=["id", "address"])
def test_a_profiles_fields_are_the_values(klaviyo: Klaviyo, whose: dict[str, str]) -> None:
    attributes = {"properties": {"plan": "gold", "first_name": "not this"}, "location": {"city": "Bern"}}
    body = {"data": {"type": "profile", "id": ELIF, "attributes": attributes}}
    KlaviyoHook().call("update_profile", path_params={"id": ELIF}, body=body)
    html = "<p>{{ first_name }} {{ person.first_name }} {{ person.plan }} {{ person.city }} {{ email }}</p>"
    html += "{% unsubscribe %}"
    expected = f"Elif Elif gold Bern {ELIFS_ADDRESS}"
    assert check(template_id=template(html), **whose, expect=[expected]).run()
    given = {"first_name": "Ada"}
    assert check(template_id=template(html), **whose, context=given, expect=["Ada Elif gold"]).run()


def test_a_profile_that_is_not_there_is_an_error_without_its_address(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoNotFoundError, match="profile_email") as caught:
        check(template_id=TEMPLATE, profile_email="gone@example.com").run()
    assert "gone@" not in str(caught.value)
    with pytest.raises(KlaviyoNotFoundError):
        check(template_id=TEMPLATE, profile_id="gone").run()
    assert klaviyo.requests("render_template") == []


# --- a campaign's own copy --------------------------------------------------------------------------------------------


def test_a_campaigns_copy_is_checked_with_its_subject(klaviyo: Klaviyo) -> None:
    result = check(campaign_id=DRAFT_EMAIL, expect=["ends soon", "until Sunday night", "Up to 70% off"]).run()
    assert result["template_id"] == klaviyo.template_of(DRAFT_EMAIL)
    assert result["subject"] == "Our holiday sale ends soon"
    message_id = klaviyo.message(DRAFT_EMAIL)["id"]
    assert check(message_id=message_id).run() == {**result, "checks": list(CHECKS)}
    assert list(failed(campaign_id=DRAFT_EMAIL, forbid=["holiday SALE ends"]).failed) == ["forbid 'holiday SALE ends'"]


def test_a_campaign_without_a_template_and_one_without_email_are_errors(klaviyo: Klaviyo) -> None:
    with pytest.raises(KlaviyoValidationError, match="has no template"):
        check(campaign_id=create().run()).run()
    with pytest.raises(KlaviyoValidationError, match="'sms'"):
        check(campaign_id=DRAFT_SMS).run()
    with pytest.raises(KlaviyoNotFoundError):
        check(template_id="gone").run()
    assert klaviyo.requests("render_template") == []


# --- the file to look at ----------------------------------------------------------------------------------------------


def test_the_mail_is_written_to_a_file_also_if_it_is_unfit(klaviyo: Klaviyo, tmp_path: Path) -> None:
    path = tmp_path / "previews" / "news.html"
    result = check(template_id=TEMPLATE, context={"first_name": "Zoë"}, path=f"file://{path}").run()
    assert result["path"] == f"file://{path}"
    assert "Hello Zoë," in path.read_text(encoding="utf-8")
    failed(template_id=template("<p>lorem ipsum</p>"), path=f"file://{path}")
    assert path.read_text() == "<p>lorem ipsum</p>"


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "settings"), [("drop_after_commit", {}), ("status_before_commit", {"status": 503})])
def test_a_rendering_that_is_not_answered_is_asked_for_again(
    klaviyo: Klaviyo, fault: str, settings: dict[str, Any]
) -> None:
    klaviyo.fail("render_template", fault, times=2, **settings)
    assert check(template_id=TEMPLATE).run()["name"] == "Holiday sale"
    assert klaviyo.fired() == [2]


def test_a_rendering_that_is_never_answered_fails_the_try(klaviyo: Klaviyo) -> None:
    klaviyo.fail("render_template", "drop_before_commit", times=3)
    with pytest.raises(KlaviyoAmbiguousWriteError):
        check(template_id=TEMPLATE).run()
    assert klaviyo.fired() == [3]


def test_a_read_only_connection_may_check(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, KEY, read_only=True)
    assert check(template_id=TEMPLATE).run()["name"] == "Holiday sale"


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "exactly one"),
        ({"template_id": "a", "campaign_id": "b"}, "exactly one"),
        ({"template_id": ""}, "template_id is ''"),
        ({"template_id": "a", "profile_id": "b", "profile_email": "c@example.com"}, "Give one of them"),
        ({"template_id": "a", "profile_email": "c"}, "profile_email is 'c'"),
        ({"template_id": "a", "context": ["x"]}, "context is"),
        ({"template_id": "a", "context": {"x": {1, 2}}}, "context.x is"),
        ({"template_id": "a", "expect": "Sale"}, "expect is 'Sale'. Give a list"),
        ({"template_id": "a", "expect": [""]}, "expect.0 is ''"),
        ({"template_id": "a", "forbid": ["x", "re:("]}, "forbid.1 is 're:('. This is not a regular expression"),
        ({"template_id": "a", "forbid": [None]}, "forbid.0 is None"),
        ({"template_id": "a", "skip_checks": ["unsubscribe"]}, "Did you mean 'unsubscribe_link'"),
        ({"template_id": "a", "skip_checks": "empty_list"}, "skip_checks is 'empty_list'. Give a list"),
        ({"template_id": "a", "path": " "}, "path is ' '"),
    ],
)
def test_what_cannot_be_right_is_refused_when_the_dag_is_imported(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(KlaviyoValidationError) as caught:
        KlaviyoRenderTemplateOperator(task_id="task", **arguments)
    assert words in str(caught.value)


Make = Callable[[Any], Any]
NOTHING: dict[str, Make] = {
    "template_id": lambda out: KlaviyoRenderTemplateOperator(task_id="task", template_id=out),
    "campaign_id": lambda out: KlaviyoRenderTemplateOperator(task_id="task", campaign_id=out),
    "context": lambda out: KlaviyoRenderTemplateOperator(task_id="task", template_id="a", context=out),
    "profile_id": lambda out: KlaviyoRenderTemplateOperator(task_id="task", template_id="a", profile_id=out),
    "expect": lambda out: KlaviyoRenderTemplateOperator(task_id="task", template_id="a", expect=out),
    "forbid.0": lambda out: KlaviyoRenderTemplateOperator(task_id="task", template_id="a", forbid=[out]),
    "path": lambda out: KlaviyoRenderTemplateOperator(task_id="task", template_id="a", path=out),
}


@pytest.mark.parametrize("field", NOTHING)
def test_what_comes_to_nothing_is_not_taken_for_not_given(klaviyo: Klaviyo, field: str) -> None:
    operator, context = rendered(NOTHING[field], None)
    with pytest.raises(KlaviyoValidationError, match="after rendering") as caught:
        operator.execute(context)
    assert field in str(caught.value)
    assert klaviyo.requests() == []


def test_patterns_and_values_of_another_task_are_used(klaviyo: Klaviyo) -> None:
    news = template(PRODUCTS)

    def make(out: Any) -> KlaviyoRenderTemplateOperator:
        return KlaviyoRenderTemplateOperator(
            task_id="task", template_id=news, context={"items": out}, expect=["{{ run_id }}", "Desk"]
        )

    with pytest.raises(KlaviyoTemplateCheckError) as caught:
        run(make, [{"name": "Desk"}])
    assert list(caught.value.failed) == ["expect 'manual__now'"]


def test_a_pattern_of_another_task_that_is_no_regular_expression_is_refused_before_a_call(klaviyo: Klaviyo) -> None:
    operator, context = rendered(
        lambda out: KlaviyoRenderTemplateOperator(task_id="task", template_id=TEMPLATE, forbid=out), ["re:["]
    )
    with pytest.raises(KlaviyoValidationError, match="not a regular expression"):
        operator.execute(context)
    assert klaviyo.requests() == []
