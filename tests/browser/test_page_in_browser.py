"""What a person sees of the sandbox, and what the page never lets happen. Needs Chromium: without one all is skipped,
and the summary says so in one line."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from typing import Any

import pytest

from scripts.screenshot import BROWSERS, Page
from tests.sandbox.sandbox_api import Api

if not any(map(shutil.which, BROWSERS)):
    pytest.skip(
        "the page was NOT tested in a browser: no Chromium is installed (Debian: apt-get install chromium)",
        allow_module_level=True,
    )

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
PATIENCE = 10


def until(page: Page, expression: str, wanted: Any = True) -> None:
    """Wait until a JavaScript expression has a value."""
    deadline = time.monotonic() + PATIENCE
    while (value := _value(page, expression)) != wanted:
        assert time.monotonic() < deadline, f"{expression} is {value!r}, not {wanted!r}"
        time.sleep(0.05)


def _value(page: Page, expression: str) -> Any:
    """The value of a JavaScript expression; ``None`` if the browser goes to another page meanwhile."""
    try:
        return page.evaluate(expression)
    except RuntimeError as error:
        if "navigated or closed" not in str(error):
            raise
        return None


def visit(page: Page, url: str) -> None:
    page.command("Page.navigate", url=url)
    until(page, "document.getElementById('pulse')?.textContent", "live")


def heard(server: socket.socket, seconds: float = 1.0) -> list[bytes]:
    """What is said to a server. Chromium connects to the host of a frame before it blocks the frame."""
    said = []
    server.settimeout(seconds)
    with suppress(TimeoutError):
        while True:
            connection, _ = server.accept()
            with connection, suppress(TimeoutError):
                connection.settimeout(seconds)
                said += [words for words in [connection.recv(1000)] if words]
    return said


def press(page: Page, key: str) -> None:
    text = "\r" if key == "Enter" else ""
    code = {"Tab": 9, "Enter": 13}[key]
    for kind in ("keyDown", "keyUp"):
        page.command("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text)


def test_the_link_of_airflow_opens_its_campaign(page, api):
    id_, _ = api.create("Linked")
    visit(page, f"{api.url}/#{id_}")
    until(page, "document.querySelector('#campaign h2')?.textContent", "Linked")
    assert page.evaluate("location.pathname") == f"/campaigns/{id_}"
    assert page.evaluate("document.querySelector('header [aria-current]').textContent").startswith("Campaigns")


def test_a_link_to_nothing_says_so(page, api):
    visit(page, f"{api.url}/#01NONE")
    until(page, "document.querySelector('#campaign h2')?.textContent", "No such campaign")


def test_the_preview_shows_the_mail_but_runs_and_loads_nothing(page, api):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        html = (
            f'<link rel="stylesheet" href="{url}/a.css"><img src="{url}/b.png"><iframe src="{url}/c"></iframe>'
            f'<meta http-equiv="refresh" content="0;url={url}/d"><style>@import url({url}/e.css);</style>'
            f'<form action="{url}/f"><button autofocus>x</button></form>{HOSTILE}'
            "<script>parent.document.title = top.document.title = 'owned'</script><p>Hello {{ first_name }}</p>"
        )
        attributes = {"name": "T", "editor_type": "CODE", "html": html}
        made = api.send("POST", "/api/templates", {"data": {"type": "template", "attributes": attributes}}).json()
        id_, _ = api.create("Mail", template=made["data"]["id"])
        visit(page, f"{api.url}/#{id_}")
        until(page, "document.querySelector('#campaign iframe')?.srcdoc.endsWith('<p>Hello Elif</p>')")
        assert page.evaluate("document.querySelector('#campaign iframe').getAttribute('sandbox')") == ""
        assert heard(elsewhere) == []
    assert page.evaluate("document.title") == "Klaviyo sandbox"
    assert page.evaluate(
        f"performance.getEntriesByType('resource').every(entry => entry.name.startsWith('{api.url}/'))"
    )


def test_hostile_names_are_text(page, api):
    id_, _ = api.create(HOSTILE)
    api.start(id_)
    api.advance(20)
    api.get(f"/api/lists/{HOSTILE}")
    api.send("POST", "/api/lists", {"data": {"type": "list", "attributes": {"name": HOSTILE}}})
    shown = {
        f"/campaigns/{id_}": "#campaign h2",
        "/deliveries": "#deliveries b",
        "/": "#campaigns b",
        "/requests": "#requests",
        f"/requests/{len(api.requests())}": "#request pre",
        "/requests/4": "#request .url",
        "/account?find=onerror": "#holdings b",
    }
    for path, place in shown.items():
        visit(page, api.url + path)
        until(page, f"(document.querySelector('{place}')?.textContent ?? '').includes('owned')")
        assert page.evaluate("document.querySelectorAll('main img, main script, nav img, nav script').length") == 0
        assert page.evaluate("document.title") == "Klaviyo sandbox"


def test_a_double_send_shouts(page, api):
    id_, _ = api.create("Double")
    visit(page, f"{api.url}/deliveries")
    for _ in range(2):
        api.start(id_)
        api.advance(20)
    until(page, "document.querySelectorAll('#deliveries li.twice').length", 2)
    alert = "Sent twice: Double — 11 recipients got it more than once."
    until(page, "document.querySelector('#alerts').textContent", alert)
    assert page.evaluate("document.title") == "⚠ Klaviyo sandbox"
    visit(page, api.url)
    until(page, "document.querySelector('#campaigns .twice .badge.bad')?.textContent", "sent twice")
    visit(page, f"{api.url}/campaigns/{id_}")
    until(page, "document.querySelectorAll('#campaign details.twice').length", 2)
    history = page.evaluate(
        "[...document.querySelectorAll('.history li')].map(row => row.lastChild.textContent).join()"
    )
    for number in (1, 2):
        assert f"Send accepted · send {number}, at once" in history
        assert f"Sent · send {number}, to 11 recipients" in history


def test_news_comes_in_while_focus_filter_and_rows_stay(page, api):
    id_, _ = api.create("Watched")
    visit(page, f"{api.url}/requests?requests=campaign")
    until(page, "document.querySelectorAll('#requests .pill').length", 2)
    page.evaluate("""
        window.field = document.querySelector('#filters [name=requests]');
        window.row = document.querySelector('#requests li');
        row.querySelector('a').focus();
    """)
    api.get("/api/lists")
    api.start(id_)
    until(page, "document.querySelector('#requests b').textContent", "send_campaign")
    assert page.evaluate("field.value === 'campaign' && row.isConnected && row.contains(document.activeElement)")
    assert "get_lists" not in page.evaluate("document.getElementById('requests').textContent")


def test_the_preview_stays_while_its_campaign_is_sent(page, api):
    id_, _ = api.create("Watched")
    visit(page, f"{api.url}/campaigns/{id_}")
    until(page, "!!document.querySelector('#campaign iframe')")
    page.evaluate("window.frame = document.querySelector('#campaign iframe')")
    page.evaluate("document.querySelector('[data-look=source]').click()")
    api.start(id_)
    api.advance(20)
    until(page, "document.querySelector('#campaign .pill').textContent", "Sent")
    assert page.evaluate("frame.isConnected && frame.hidden && !document.querySelector('.source').hidden")
    assert "<h1>" in page.evaluate("document.querySelector('.source').textContent")


def test_the_controls_do_what_they_say(page, api):
    visit(page, f"{api.url}/faults")
    before = api.http.get("/sandbox/clock").json()["now"]
    page.evaluate("document.querySelector('[data-advance=\"86400\"]').click()")
    until(page, "document.getElementById('clock-note').textContent.includes('ahead')")
    assert api.http.get("/sandbox/clock").json()["now"][:10] > before[:10]
    page.evaluate("""
        const form = document.getElementById('add-fault');
        form.elements.operation.value = 'get_list';
        form.elements.fault.value = 'status_before_commit';
        form.elements.fault.dispatchEvent(new Event('change'));
        form.requestSubmit();
    """)
    until(page, "document.querySelector('#faults .fired')?.textContent", "Has hit 0 of 1.")
    assert api.get("/api/lists/YzykDM").status_code == 503
    until(page, "document.querySelector('#faults .fired')?.textContent", "Has hit 1 of 1.")
    page.evaluate("document.getElementById('clear-faults').click()")
    until(page, "document.querySelectorAll('#faults li').length", 0)
    assert api.http.get("/sandbox/faults").json() == []


def test_a_campaign_can_be_opened_with_the_keyboard_and_left_by_going_back(page, api):
    api.create("Newest", template=None)
    visit(page, api.url)
    page.evaluate("document.getElementById('find-campaigns').focus()")
    press(page, "Tab")
    press(page, "Enter")
    until(page, "document.querySelector('#campaign h2')?.textContent", "Newest")
    page.evaluate("void setTimeout(() => history.back())")
    until(page, "document.body?.dataset.view", "campaigns")
    page.evaluate("void setTimeout(() => history.forward())")
    until(page, "document.querySelector('#campaign h2')?.textContent", "Newest")


def test_all_tabs_are_reached_by_the_keyboard(page, api):
    visit(page, api.url)
    for name in ("deliveries", "requests", "account", "faults", "campaigns"):
        page.evaluate("document.querySelector('.skip').focus()")
        address = "/" if name == "campaigns" else f"/{name}"
        for _ in range(12):
            press(page, "Tab")
            if page.evaluate("document.activeElement.getAttribute('href')") == address and page.evaluate(
                "!!document.activeElement.closest('nav')"
            ):
                break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        press(page, "Enter")
        until(page, "document.body?.dataset.view", name)
        until(page, "document.getElementById('pulse')?.textContent", "live")
        assert page.evaluate("document.querySelector('header [aria-current=page]').getAttribute('href')") == address


def test_a_404_is_opened_and_its_reason_read(page, api):
    api.get("/api/lists/Y6nRLX")
    visit(page, f"{api.url}/requests?status=4xx")
    until(page, "document.querySelectorAll('#requests .pill.failed').length", 1)
    page.evaluate("document.querySelector('#requests a').click()")
    until(page, "document.querySelector('#request .pill')?.textContent", "404")
    assert "Y6nRLX" in page.evaluate("document.querySelector('#request .reason strong').textContent")
    assert '"errors": [' in page.evaluate("document.querySelector('#request').innerText")


def test_a_request_copied_as_curl_does_the_same_again(page, api):
    name = 'It\'s "quoted" $HOME `id` \\ ü\n@x'
    api.create(name, template=None)
    api.query("/api/campaigns", {"filter": "and(equals(messages.channel,'email'),contains(name,'It'))"})
    for number, names in ((1, [name]), (2, [name, name])):
        visit(page, f"{api.url}/requests/{number}")
        until(page, "!!document.querySelector('#curl')")
        page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
        page.evaluate("document.querySelector('#request .copy').click()")
        until(page, "typeof window.copied", "string")
        ran = subprocess.run(
            ["bash", "-c", page.evaluate("window.copied")], capture_output=True, timeout=20, check=True
        )
        data = json.loads(ran.stdout)["data"]
        found = data if isinstance(data, list) else [data]
        assert [one["attributes"]["name"] for one in found] == names


SIZES = """
(() => {
  const small = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (["OPTION", "NOSCRIPT"].includes(node.tagName)) continue;
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    if (parseFloat(style.fontSize) < 13 && parseFloat(style.fontSize) > 0) small.push(`small: ${node.textContent}`);
    const isOut = box.right > innerWidth + 1 || (box.left < 0 && !node.matches(".skip"));
    const isCut = node.scrollWidth > node.clientWidth + 1 && style.overflowX !== "visible";
    if (isOut) small.push(`sticks out: ${node.textContent}`);
    if (isCut) small.push(`clipped: ${node.textContent}`);
  }
  return small.join("; ");
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_nothing_sticks_out_and_text_can_be_read(page, api, width, scheme):
    id_, _ = api.create("A name that has no place to break" + "x" * 80)
    for _ in range(2):
        api.start(id_)
        api.advance(20)
    api.fault(operation="send_campaign", fault="status_after_commit", status=504)
    api.start(id_)
    api.get("/api/lists/Y6nRLX")
    paths = ("/", "/deliveries", "/requests", "/requests/5", "/requests/6", "/account?kind=profiles", "/faults")
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.resize(width, 800)
    for path in (f"/campaigns/{id_}", *paths):
        visit(page, api.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate("document.querySelector('header').offsetHeight") < 110, path
        assert page.evaluate(SIZES) == "", path
        assert page.evaluate(TOO_FAINT) == "", path


# Lists the texts whose contrast with what is behind them is less than 4.5 to 1, as WCAG AA asks for.
TOO_FAINT = """
(() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (c) => c <= 10 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (["OPTION", "NOSCRIPT"].includes(node.tagName)) continue;
    const [one, two] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (two + 0.05);
    if (contrast < 4.5) faint.push(`${walker.currentNode.data.trim().slice(0, 30)}: ${contrast.toFixed(1)}`);
  }
  return [...new Set(faint)].join("; ");
})()
"""


def test_without_scripts_it_is_a_plain_list(page, api: Api):
    api.create("Plain")
    page.command("Emulation.setScriptExecutionDisabled", value=True)
    page.command("Page.navigate", url=api.url)
    until(page, "document.querySelector('#campaigns b')?.textContent", "Plain")
    page.command("Page.navigate", url=f"{api.url}/requests")
    until(page, "document.querySelectorAll('#requests li').length", 2)
    assert page.evaluate("[...document.querySelectorAll('.live')].filter(node => node.checkVisibility()).length") == 0
