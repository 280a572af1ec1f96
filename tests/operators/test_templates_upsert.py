"""A template by its name, from a string or a file that has both Klaviyo's tags and Airflow's values."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_klaviyo.exceptions import (
    KlaviyoAmbiguousWriteError,
    KlaviyoRefusedError,
    KlaviyoValidationError,
    RefusalReason,
)
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.templates import KlaviyoUpsertTemplateOperator
from tests.conftest import KEY, Connect
from tests.support.context import Task
from tests.support.refusals import refused
from tests.support.rendering import rendered, run
from tests.support.sandbox import DRAFT_EMAIL, TEMPLATE, Klaviyo
from tests.support.tasks import assign, task

HTML = (
    "<h1>News</h1><p>Hi {{ first_name|default:'there' }},</p>{% if person.vip %}<p>VIP</p>{% endif %}{% unsubscribe %}"
)


def upsert(**arguments: Any) -> Task:
    return task(KlaviyoUpsertTemplateOperator, {"name": "Newsletter", "html": HTML, **arguments})


def content(template_id: str) -> tuple[Any, Any]:
    attributes = KlaviyoHook().get_template(template_id).attributes
    return attributes["html"], attributes["text"]


def written(klaviyo: Klaviyo) -> list[str]:
    """The writes that were carried out, in order."""
    return [row["operation"] for row in klaviyo.requests() if row["committed"]]


# --- made, changed, left alone ----------------------------------------------------------------------------------------


def test_a_template_is_made_and_its_tags_are_as_they_were_written(klaviyo: Klaviyo) -> None:
    made = upsert(text="Hi {{ first_name }}").run()
    assert content(made) == (HTML, "Hi {{ first_name }}")
    assert KlaviyoHook().get_template(made).attributes["editor_type"] == "CODE"


def test_the_template_of_that_name_gets_the_new_content(klaviyo: Klaviyo) -> None:
    made = upsert(text="Old").run()
    assert upsert(html="<p>New</p>").run() == made
    assert content(made) == ("<p>New</p>", "Old")
    assert upsert(html="<p>New</p>", text="New").run() == made
    assert content(made) == ("<p>New</p>", "New")
    assert written(klaviyo) == ["create_template", "update_template", "update_template"]


@pytest.mark.parametrize("as_klaviyo_keeps_it", [HTML, HTML.replace("<h1>", "<H1 >"), f"\n{HTML}\n"])
def test_what_says_the_same_already_is_not_written(
    klaviyo: Klaviyo, capsys: pytest.CaptureFixture[str], as_klaviyo_keeps_it: str
) -> None:
    made = KlaviyoHook().create_template("Newsletter", as_klaviyo_keeps_it, text="Hi").id
    for _ in range(2):
        assert upsert(text="Hi\n").run() == made
    assert written(klaviyo) == ["create_template"]
    assert f"Template {made} says the same already: nothing is written" in capsys.readouterr().out


def test_other_line_breaks_in_the_plain_text_are_written(klaviyo: Klaviyo) -> None:
    made = upsert(text="Hi\r\nAda ").run()
    assert upsert(text="Hi\nAda\n").run() == made
    assert upsert(text="Hi\n\nAda").run() == made
    assert written(klaviyo) == ["create_template", "update_template"]


def test_only_the_exact_name_is_meant(klaviyo: Klaviyo) -> None:
    others = [
        KlaviyoHook().create_template(name, "<p>x</p>").id for name in ("newsletter", "Newsletter 2", "A Newsletter")
    ]
    made = upsert().run()
    assert made not in others
    assert [content(one)[0] for one in others] == ["<p>x</p>"] * 3


def test_a_name_with_quotes_in_it_is_found(klaviyo: Klaviyo) -> None:
    made = upsert(name='Ada\'s "best" \\ news, and more').run()
    assert upsert(name='Ada\'s "best" \\ news, and more').run() == made


def test_of_several_of_the_name_none_is_written_and_all_are_named(klaviyo: Klaviyo) -> None:
    ids = [KlaviyoHook().create_template("Newsletter", "<p>x</p>").id for _ in range(2)]
    with pytest.raises(KlaviyoValidationError, match="2 templates") as caught:
        upsert().run()
    assert all(one in str(caught.value) for one in ids)
    assert [content(one)[0] for one in ids] == ["<p>x</p>"] * 2


def test_a_drag_and_drop_template_is_not_written_over(klaviyo: Klaviyo) -> None:
    attributes = {"name": "Newsletter", "editor_type": "USER_DRAGGABLE", "html": "<p>By hand</p>"}
    answer = KlaviyoHook().call("create_template", body={"data": {"type": "template", "attributes": attributes}})
    with refused(RefusalReason.NOT_CODE, match="USER_DRAGGABLE"):
        upsert().run()
    assert content(answer.resource.id)[0] == "<p>By hand</p>"


def test_an_account_that_is_full_is_named(klaviyo: Klaviyo) -> None:
    hook = KlaviyoHook()
    there = len(hook.paginate("get_templates"))
    for number in range(1_000 - there):
        hook.create_template(f"T{number}", "<p>x</p>")
    with pytest.raises(KlaviyoValidationError, match="1,000 templates by the API; delete some"):
        upsert().run()
    assert upsert(name="T7").run() == hook.find_templates("T7")[0].id, "one that is there is still written over"


def test_html_of_5_megabytes_is_taken_and_known_again(klaviyo: Klaviyo) -> None:
    html = "<p>" + "word &amp; " * 500_000 + "</p>"
    made = upsert(html=html).run()
    assert upsert(html=html.replace("&amp;", "&")).run() == made
    assert written(klaviyo) == ["create_template"]


# --- lost answers, kills, clears --------------------------------------------------------------------------------------


def test_a_create_whose_answer_is_lost_is_looked_up_and_not_made_again(klaviyo: Klaviyo) -> None:
    klaviyo.fail("create_template", "drop_after_commit")
    made = upsert().run()
    assert klaviyo.fired() == [1]
    assert written(klaviyo) == ["create_template"]
    assert [one.id for one in KlaviyoHook().find_templates("Newsletter")] == [made]


def test_a_create_that_did_not_arrive_fails_the_try_and_the_next_one_makes_it(klaviyo: Klaviyo) -> None:
    making = upsert()
    klaviyo.fail("create_template", "drop_before_commit")
    with pytest.raises(KlaviyoAmbiguousWriteError):
        making.run()
    assert klaviyo.fired() == [1]
    made = making.run()
    making.clear()
    assert making.run() == made
    assert written(klaviyo) == ["create_template"]


@pytest.mark.parametrize("fault", ["drop_before_commit", "drop_after_commit"])
def test_an_update_that_is_not_answered_is_made_again(klaviyo: Klaviyo, fault: str) -> None:
    made = upsert(html="<p>Old</p>").run()
    klaviyo.fail("update_template", fault)
    assert upsert().run() == made
    assert klaviyo.fired() == [1]
    assert content(made)[0] == HTML


def test_a_try_that_was_killed_after_the_create_is_gone_on_with(klaviyo: Klaviyo) -> None:
    made = KlaviyoHook().create_template("Newsletter", HTML).id
    assert upsert().run() == made
    assert written(klaviyo) == ["create_template"]


def test_a_read_only_connection_writes_nothing(klaviyo: Klaviyo, connect: Connect) -> None:
    connect(klaviyo.url, KEY, read_only=True)
    with pytest.raises(KlaviyoRefusedError) as caught:
        upsert().run()
    assert caught.value.reason is RefusalReason.READ_ONLY
    assert written(klaviyo) == []


# --- Klaviyo's tags and Airflow's values ------------------------------------------------------------------------------

Make = Callable[[Any], KlaviyoUpsertTemplateOperator]


def make(**arguments: Any) -> Make:
    return lambda _: KlaviyoUpsertTemplateOperator(task_id="task", **{"name": "Newsletter", "html": HTML, **arguments})


@pytest.mark.parametrize("native", [False, True], ids=["plain", "native"])
def test_airflow_fills_in_its_own_brackets_and_leaves_klaviyos(klaviyo: Klaviyo, native: bool) -> None:
    greeting = "<p>[[ run_id ]] {{ first_name|default:'there' }}</p>"
    html = greeting + "[% for n in [1, 2] %]<b>[[ n ]]</b>[% endfor %][# x #]{# y #}"
    made = run(make(name="News {{ run_id }}", html=html, text="[[ run_id ]] {{ x }}"), native=native)
    assert content(made) == (
        "<p>manual__now {{ first_name|default:'there' }}</p><b>1</b><b>2</b>{# y #}",
        "manual__now {{ x }}",
    )
    assert KlaviyoHook().get_template(made).name == "News manual__now"


def test_a_file_beside_the_dag_is_read_with_both(klaviyo: Klaviyo, tmp_path: Path) -> None:
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "news.html").write_text("[% include 'head.html' %]<p>{{ first_name }}</p>{% unsubscribe %}\n")
    (tmp_path / "head.html").write_text("<h1>[[ run_id ]]</h1>")
    (tmp_path / "news.txt").write_text("Hi {{ first_name }}")
    with DAG("files", schedule=None, template_searchpath=[str(tmp_path)]) as dag:
        KlaviyoUpsertTemplateOperator(task_id="task", name="Newsletter", html="mails/news.html", text="news.txt")
    for resolved in (False, True):
        operator: Any = dag.get_task("task")
        if resolved:  # as Airflow does when it parses a DAG file
            operator.resolve_template_files()
            assert "include" in operator.html
        context: Any = {"run_id": "R1", "ti": None, "task": operator, "dag": dag, "params": {}}
        again = copy.copy(operator)
        again.render_template_fields(context)
        assert content(again.execute(context)) == (
            "<h1>R1</h1><p>{{ first_name }}</p>{% unsubscribe %}",
            "Hi {{ first_name }}",
        )
    assert written(klaviyo) == ["create_template"]


def test_html_that_another_task_has_made_is_taken_as_it_is(klaviyo: Klaviyo) -> None:
    html = "<p>{{ first_name|default:'there' }} [[ not_airflows ]]</p>{% unsubscribe %}"
    made = run(lambda out: KlaviyoUpsertTemplateOperator(task_id="task", name="Newsletter", html=out), html)
    assert content(made)[0] == html


def test_mapped_over_names_and_html(klaviyo: Klaviyo) -> None:
    def mapped(_: Any) -> Any:
        return KlaviyoUpsertTemplateOperator.partial(task_id="task").expand_kwargs(
            [{"name": "A", "html": "<p>A {{ x }}</p>"}, {"name": "B", "html": "<p>[[ run_id ]] {{ x }}</p>"}]
        )

    assert [content(run(mapped, map_index=index))[0] for index in (0, 1)] == [
        "<p>A {{ x }}</p>",
        "<p>manual__now {{ x }}</p>",
    ]


def test_a_bracket_that_is_not_airflows_is_written_as_jinja_has_it(klaviyo: Klaviyo) -> None:
    made = run(make(html="<p>[[ '[[' ]] x ]] [% raw %][[ y ]][% endraw %]</p>"))
    assert content(made)[0] == "<p>[[ x ]] [[ y ]]</p>"


REFUSED = {
    "a value of Airflow's in Klaviyo's braces": ("<p>{{ run_id }}</p>", "[[ run_id … ]]"),
    "a part of one": ("<p>{{ params.x }}</p>", "[[ params … ]]"),
    "a condition on one": ("{% if params.x %}a{% endif %}", "[[ params … ]]"),
    "a condition on its absence": ("{% if not params.x %}a{% endif %}", "[[ params … ]]"),
    "a loop over one": ("{% for x in params.products %}a{% endfor %}", "[[ params … ]]"),
    "a name that Airflow does not know": ("<p>[[ first_name ]]</p>", "'first_name' is undefined"),
    "a tag of Klaviyo's in Airflow's brackets": ("[% unsubscribe %]", "unsubscribe"),
    "a bracket that is not closed": ("<p>[[ run_id </p>", "TemplateSyntaxError"),
    "a file that is not there": ("missing.html", "missing.html"),
    "what comes to nothing": ("[[ '' ]]", "is ''"),
    "braces that an upstream task should have filled in": ("{{ ti.xcom_pull(task_ids='make') }}", "[[ ti … ]]"),
}


@pytest.mark.parametrize(("html", "words"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_lost_is_refused_before_a_call(klaviyo: Klaviyo, html: str, words: str) -> None:
    operator, context = rendered(make(html=html))
    with pytest.raises(KlaviyoValidationError) as caught:
        operator.execute(context)
    assert words in str(caught.value)
    assert caught.value.pointer == "/html"
    assert klaviyo.requests() == []


@pytest.mark.parametrize("returned", [None, "", " ", 7, ["<p>x</p>"]], ids=repr)
def test_html_of_another_task_that_is_none_is_refused(klaviyo: Klaviyo, returned: Any) -> None:
    operator, context = rendered(
        lambda out: KlaviyoUpsertTemplateOperator(task_id="task", name="Newsletter", html=out), returned
    )
    with pytest.raises(KlaviyoValidationError, match="html is"):
        operator.execute(context)
    assert klaviyo.requests() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"html": " "}, "html is ' '"),
        ({"html": None}, "html is None"),
        ({"html": 5}, "html is 5"),
        ({"text": ""}, "text is ''"),
        ({"name": ""}, "name is ''"),
        ({"name": "newsletter.html"}, "leave the ending off"),
    ],
)
def test_what_cannot_be_right_is_refused_when_the_dag_is_imported(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(KlaviyoValidationError, match=words):
        KlaviyoUpsertTemplateOperator(task_id="task", **{"name": "Newsletter", "html": HTML, **arguments})


def test_a_campaign_keeps_its_copy_until_the_template_is_assigned_again(klaviyo: Klaviyo) -> None:
    assert upsert(name="Holiday sale").run() == TEMPLATE
    copy_id = klaviyo.template_of(DRAFT_EMAIL)
    assert copy_id is not None
    assert "Our holiday sale ends soon" in content(copy_id)[0]
    assign(campaign_id=DRAFT_EMAIL).run()
    copy_id = klaviyo.template_of(DRAFT_EMAIL)
    assert copy_id is not None
    assert content(copy_id)[0] == HTML
