"""What makes a mail unfit to be sent, and what does not."""

from __future__ import annotations

import time

import pytest

from airflow_provider_klaviyo.campaigns.html import is_same_html
from airflow_provider_klaviyo.campaigns.mail import CHECKS, EXCERPT, Mail, compiled, expecting, failures, forbidding

FOOTER = '<p><a href="https://x.test/unsubscribe">Leave</a></p>'


def failed(body: str, **parts: str) -> dict[str, str]:
    return failures(Mail(f"<html><body>{body}{FOOTER}</body></html>", **parts), CHECKS)


@pytest.mark.parametrize(
    ("body", "check", "words"),
    [
        ("<p>Hi {{ first_name }}</p>", "unrendered_tags", "Hi {{ first_name }}"),
        ("<p>{% if x %}</p>", "unrendered_tags", "{% if x %}"),
        ('<a href="https://x.test/%7B%7Burl%7D%7D">Go</a>', "unrendered_tags", "%7B%7Burl"),
        ('<a href="https://x.test/%7B%25%20url">Go</a>', "unrendered_tags", "%7B%25"),
        ("<p>Hi *|FNAME|*</p>", "unrendered_tags", "*|FNAME|*"),
        ("<p>LOREM  <b>ipsum</b> dolor</p>", "placeholder_text", "LOREM ipsum dolor"),
        ("<p>Hi <b></b>, welcome</p>", "missing_values", "Hi , welcome"),
        ("<p>Hallo <span> </span>, schön</p>", "missing_values", "Hallo , schön"),
        ("<p>Dear None, welcome</p>", "missing_values", "Dear None"),
        ("<td>None</td>", "missing_values", "'None'"),
        ("<td> undefined </td>", "missing_values", "'undefined'"),
        ("<ul>\n</ul>", "empty_list", "<ul>"),
        ("<table><tr> </tr></table>", "empty_list", "<tr>"),
        ("<table><tbody></tbody></table>", "empty_list", "<tbody>"),
        ("<ul><!-- products --></ul>", "empty_list", "<ul>"),
    ],
)
def test_it_is_unfit(body: str, check: str, words: str) -> None:
    found = failed(body)
    assert list(found) == [check]
    assert words in found[check]


@pytest.mark.parametrize(
    "body",
    [
        "<p>Hi Ada, none of our lamps is undefined. NaN is a number that is not one.</p>",
        "<p>Delhi , Sushi , hi!</p>",
        "<p>None of them</p>",
        "<style>@media screen{a{b:c}}{# x #}</style>",
        "<ul><li>Lamp</li></ul><table><tbody><tr><td></td></tr></tbody></table>",
        "<table><tr><td><table><tr><td>x</td></tr></table></td></tr></table>",
        "<ul><li>never closed <table><tr><td>x</ul>",
        "<p>100 % off, {a}, *bold*, https://x.test/%7Ba%7D</p>",
        "<!--[if mso]><table><tr></tr></table><![endif]-->",
    ],
)
def test_it_is_fit(body: str) -> None:
    assert failed(body) == {}


@pytest.mark.parametrize(
    "html", ["", " \n", "<html><body><div> </div></body></html>", "<style>a{}</style><title>x</title>"]
)
def test_a_mail_without_words_and_images_is_empty(html: str) -> None:
    assert "empty_mail" in failures(Mail(html), CHECKS)


def test_a_mail_of_one_image_is_not_empty() -> None:
    assert "empty_mail" not in failures(Mail('<img src="x.png">'), CHECKS)


@pytest.mark.parametrize(
    ("html", "source"),
    [
        ('<a href="https://k.test/1">Abmelden</a>', "<p>{% unsubscribe 'Abmelden' %}</p>"),
        ('<a href="https://k.test/1">Leave</a>', '<a href="{% unsubscribe_link %}">Leave</a>'),
        ('<a href="https://k.test/1">Unsubscribe <b>here</b></a>', ""),
        ('<A HREF="https://k.test/UNSUBSCRIBE">Leave</A>', ""),
    ],
)
def test_there_is_an_unsubscribe_link(html: str, source: str) -> None:
    assert "unsubscribe_link" not in failures(Mail(html, source=source), CHECKS)


@pytest.mark.parametrize(
    ("html", "source"),
    [
        ("<p>Write to us to unsubscribe.</p>", ""),
        ('<a href="">Unsubscribe</a>', ""),
        ("<a>Unsubscribe</a>", ""),
        ("<p>x</p>", "<!-- {% unsubscribe %} -->"),
        ("<p>x</p>", "{# {% unsubscribe %} #}{% comment %}{% unsubscribe %}{% endcomment %}"),
    ],
)
def test_there_is_no_unsubscribe_link(html: str, source: str) -> None:
    assert "{% unsubscribe %}" in failures(Mail(html, source=source), CHECKS)["unsubscribe_link"]


def test_the_plain_text_part_and_the_subject_are_checked_too() -> None:
    assert list(failed("<p>x</p>", text="Hi {{ first_name }}")) == ["unrendered_tags"]
    assert list(failed("<p>x</p>", subject="Lorem ipsum")) == ["placeholder_text"]
    assert failed("<p>x</p>", subject="{{ first_name }}, look") == {}, "Klaviyo fills in the subject when it sends"


@pytest.mark.parametrize(
    ("pattern", "is_found"),
    [
        ("spring SALE", True),
        ("spring   sale", True),
        ("$20 (or 20 €)", True),
        ("spring.sale", False),
        ("re:[Ss]pring.Sale", True),
        ("re:spring sale", False),
        ("re:(?i)spring sale", True),
        ('re:(?s)(class="product".*){2}', True),
        ('re:(?s)(class="product".*){3}', False),
        ('class="product"', True),
    ],
)
def test_a_pattern_is_looked_for_in_what_people_read_and_in_the_html(pattern: str, is_found: bool) -> None:
    products = '<p class="product">\n</p><p class="product">a</p>'
    mail = Mail(f"<h1>Spring <b>Sale</b></h1><p>$20 (or&nbsp;20&nbsp;&euro;)</p>{products}")
    assert (expecting(compiled(pattern))(mail) is None) is is_found
    assert (forbidding(compiled(pattern))(mail) is not None) is is_found


def test_an_excerpt_is_short_and_on_one_line_however_long_the_match() -> None:
    mail = Mail("<p>" + "\n".join(f"word{number}" for number in range(1_000)) + "</p>")
    for pattern in ("re:word500", "re:(?s)word3.*word900", "re:word0", "re:word999"):
        found = mail.find(compiled(pattern))
        assert found is not None
        assert len(found) <= EXCERPT
        assert "\n" not in found


def test_a_mail_of_5_megabytes_is_judged_in_seconds() -> None:
    rows = "<tr><td><a href='https://x.test/p'>Lamp</a> {a} &euro; <b>None of</b></td></tr>\n"
    html = f"<table>{rows * (5_000_000 // len(rows))}</table>{FOOTER}"
    began = time.process_time()
    assert failures(Mail(html, source=html), CHECKS) == {}
    assert time.process_time() - began < 30


# --- the same HTML ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        "<p class='a'>Hi &amp; bye</p>",
        '<P CLASS="a">Hi & bye</P>',
        '<p class="a">Hi &amp;\n   bye</p>\n',
        '<p  class = "a" >Hi &#38; bye</p>',
    ],
)
def test_it_is_the_same_html_in_another_spelling(other: str) -> None:
    assert is_same_html('<p class="a">Hi &amp; bye</p>', other)


@pytest.mark.parametrize(
    "other",
    [
        '<p class="a">Hi &amp;bye</p>',
        '<p class="A">Hi &amp; bye</p>',
        '<p class="a">Hi &amp; bye </p>',
        '<p class="a">Hi <b>&amp;</b> bye</p>',
        '<p class="a">Hi &amp; bye{% unsubscribe %}</p>',
        '<!doctype html><p class="a">Hi &amp; bye</p>',
        '<!-- x --><p class="a">Hi &amp; bye</p>',
        "",
    ],
)
def test_it_is_other_html(other: str) -> None:
    assert not is_same_html('<p class="a">Hi &amp; bye</p>', other)
