"""Templates filled in: what Klaviyo's language has, and what it refuses."""

from __future__ import annotations

import pytest

from airflow_provider_klaviyo.sandbox.rendering import RenderingError, preview, render

VALUES = {
    "first_name": "Ada & Co",
    "person": {"plan": "gold", "Last Order": "2026-11-20"},
    "items": [{"name": "Lamp"}, {"name": "Desk"}],
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hi {{ first_name|default:'there' }}", "Hi Ada &amp; Co"),
        ("Hi {{ nobody|default:'there' }}", "Hi there"),
        ('Hi {{ nobody|default:"there" }}', "Hi there"),
        ("Hi {{ nobody }}, {{ nobody.of.any.kind }}", "Hi , "),
        ("{{ person.plan|upper }} {{ person|lookup:'Last Order' }}", "GOLD 2026-11-20"),
        ("{{ person|lookup:'nothing' }}", "None"),
        ("{{ first_name|safe }}", "Ada & Co"),
        ("{{ items.1.name }}", "Desk"),
        ("{% for i in items %}{{ forloop.counter }} {{ i.name }} {% endfor %}", "1 Lamp 2 Desk "),
        ("{% for i in nothing %}x{% empty %}none{% endfor %}", "none"),
        ("<ul>{% for i in nothing %}<li>x</li>{% endfor %}</ul>", "<ul></ul>"),
        ("{% if person.plan == 'gold' %}G{% elif nobody %}n{% else %}e{% endif %}", "G"),
        ("{% with p=person.plan %}{{ p }}{% endwith %}", "gold"),
        ("{% unsubscribe 'Leave' %}", '<a href="#unsubscribe">Leave</a>'),
        ("<a href='{% unsubscribe_link %}'>", "<a href='#unsubscribe'>"),
        ("{# note #}{% comment %}{{ x }{% endcomment %}{% today '%Y' as year %}.", "."),
        ("{{ first_name", "{{ first_name"),
        ("{{ first\n_name }}", "{{ first\n_name }}"),
        ("@media{#header{color:red}}\n#}", "@media{#header{color:red}}\n#}"),
        ("{{ first_name|a_filter_that_is_not_known:3 }}", "Ada &amp; Co"),
    ],
)
def test_a_tag_comes_to(template: str, expected: str) -> None:
    assert render(template, VALUES) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{% elsif x %}",
        "{% assign x = 1 %}",
        "{% if x %}",
        "{{ nobody|default: 'there' }}",
        "{% coupon_code 'SALE' %}",
        "{{ 9**9**9 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ range(9) }}",
        "{% for i in first_name %}{{ i.x() }}{% endfor %}",
    ],
)
def test_what_klaviyo_cannot_read_is_refused_and_a_preview_shows_the_tags(template: str) -> None:
    with pytest.raises(RenderingError):
        render(template, VALUES)
    assert preview(template, VALUES) == template


def test_a_template_that_comes_to_too_much_is_refused() -> None:
    with pytest.raises(RenderingError, match="too much"):
        render("{% for a in many %}{{ much }}{% endfor %}", {"many": list(range(3_000)), "much": "x" * 10_000})
