"""What a person sees of the sandbox, and what the page never lets happen. Needs Chromium: without one all is skipped,
and the summary says so in one line."""

from __future__ import annotations

import shutil
import socket
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
    while (value := page.evaluate(expression)) != wanted:
        assert time.monotonic() < deadline, f"{expression} is {value!r}, not {wanted!r}"
        time.sleep(0.05)


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


def test_a_deep_link_opens_its_campaign_and_scrolls_to_it(page, api):
    id_, _ = api.create("Linked")
    for number in range(30):
        api.create(f"Newer {number}", template=None)
    visit(page, f"{api.url}/#{id_}")
    until(page, "document.querySelector('#campaign h2')?.textContent", "Linked")
    top = "document.querySelector('#campaign').getBoundingClientRect().top"
    until(page, f"0 <= {top} && {top} < 120")
    until(page, "document.querySelector('[aria-current] b').textContent", "Linked")


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
    visit(page, f"{api.url}/#{id_}")
    until(page, "document.querySelector('#campaign h2')?.textContent", HOSTILE)
    until(page, "document.querySelector('#deliveries a')?.textContent", HOSTILE)
    assert page.evaluate("document.querySelectorAll('main img, main script, nav img, nav script').length") == 0
    assert page.evaluate("document.title") == "Klaviyo sandbox"


def test_a_double_send_shouts(page, api):
    id_, _ = api.create("Double")
    visit(page, api.url)
    for _ in range(2):
        api.start(id_)
        api.advance(20)
    until(page, "document.querySelectorAll('#deliveries tr.twice').length", 2)
    alert = "Sent twice: Double — 11 recipients got it more than once."
    until(page, "document.querySelector('#alerts').textContent", alert)
    assert page.evaluate("document.querySelector('#campaigns .twice .badge.bad').textContent") == "sent twice"
    assert page.evaluate("document.title") == "⚠ Klaviyo sandbox"


def test_news_comes_in_while_focus_filter_and_rows_stay(page, api):
    id_, _ = api.create("Watched")
    visit(page, f"{api.url}/#{id_}")
    until(page, "!!document.querySelector('#campaign iframe')")
    page.evaluate("""
        const filter = document.getElementById('find-requests');
        filter.focus();
        filter.value = 'campaign';
        filter.dispatchEvent(new Event('input'));
        window.row = document.querySelector('#requests tr');
        window.frame = document.querySelector('#campaign iframe');
        document.querySelector('.scroll').scrollTop = 5;
    """)
    api.get("/api/lists")
    api.start(id_)
    api.advance(20)
    until(page, "document.querySelector('#campaign .pill').textContent", "Sent")
    until(page, "document.querySelector('#requests b').textContent", "send_campaign")
    assert page.evaluate("document.activeElement === filter && filter.value") == "campaign"
    assert page.evaluate("row.isConnected && frame.isConnected")
    assert "get_lists" not in page.evaluate("document.getElementById('requests').textContent")


def test_the_controls_do_what_they_say(page, api):
    visit(page, api.url)
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
    until(page, "document.querySelector('#faults .number')?.textContent", "0 of 1")
    assert api.get("/api/lists/YzykDM").status_code == 503
    until(page, "document.querySelector('#faults .number')?.textContent", "1 of 1")
    page.evaluate("document.getElementById('clear-faults').click()")
    until(page, "document.querySelectorAll('#faults tr').length", 0)
    assert api.http.get("/sandbox/faults").json() == []


def test_a_campaign_can_be_opened_with_the_keyboard(page, api):
    api.create("Newest", template=None)
    visit(page, api.url)
    page.evaluate("document.getElementById('find-campaigns').focus()")
    press(page, "Tab")
    press(page, "Enter")
    until(page, "document.querySelector('#campaign h2')?.textContent", "Newest")
    until(page, "document.activeElement.textContent", "Newest")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_and_text_can_be_read(page, api, width, scheme):
    id_, _ = api.create("A name that has no place to break" + "x" * 80)
    for _ in range(2):
        api.start(id_)
        api.advance(20)
    page.resize(width, 800)
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    visit(page, f"{api.url}/#{id_}")
    until(page, "!!document.querySelector('#campaign iframe')")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(TOO_FAINT) == ""


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
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.tagName === "OPTION") continue;
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
    until(page, "document.querySelectorAll('#requests tr').length", 2)
    assert page.evaluate("[...document.querySelectorAll('.live')].filter(node => node.checkVisibility()).length") == 0
