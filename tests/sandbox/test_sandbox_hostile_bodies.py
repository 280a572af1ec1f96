"""Bodies that no client should send: each is answered 4xx, and nothing of it is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.hostile import JSON, KEY
from tests.sandbox.sandbox_api import campaign as campaign_body

DEEP = 101


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def named(name: bytes) -> bytes:
    return json.dumps(campaign_body("NAME")).encode().replace(b'"NAME"', name)


BODIES = {
    "deep": nested(DEEP),
    "deeper": nested(5000),
    "deepest": nested(200_000),
    "a deep field": b'{"data": ' + nested(DEEP) + b"}",
    "NaN": named(b"NaN"),
    "infinity": named(b"-Infinity"),
    "1e400": named(b"1e400"),
    "a long integer": named(b"9" * 100_000),
    "an integer beyond floats": named(b"1" + b"0" * 400),
    "a surrogate": named(b'"\\ud800"'),
    "a surrogate as a name": b'{"\\udfff": 1}',
    "surrogates the wrong way": named(b'"\\udc00\\ud800"'),
    "not UTF-8": named(b'"\xff"'),
    "an encoded surrogate": named(b'"\xed\xa0\x80"'),
    "overlong": named(b'"\xc0\xaf"'),
    "UTF-16": json.dumps(campaign_body("Wide")).encode("utf-16"),
    "a bare NUL": named(b'"\x00"'),
    "text": b'"text"',
    "a number": b"1",
    "null": b"null",
    "a list": b"[]",
    "nothing": b" ",
    "two": b"{}{}",
    "truncated": b'{"data": ',
    "an open string": b'{"data": "',
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/api/campaigns", "/api/profile-bulk-import-jobs", "/api/events", "/sandbox/faults"])
def test_a_body_that_is_no_json_of_the_web_is_refused(target, path, name):
    before = target.kept()
    answer = target.api.http.post(path, content=BODIES[name], headers={"Content-Type": "application/json"})
    if (path, name) == ("/sandbox/faults", "a list"):
        assert answer.status_code == 201
    else:
        assert answer.status_code == 400, answer.text
    assert target.kept() == before


def test_what_is_a_hundred_deep_is_read_and_kept(target):
    properties: Any = "leaf"
    for _ in range(100 - 4):
        properties = {"in": properties}
    body = {"data": {"type": "profile", "attributes": {"email": "deep@example.com", "properties": {"in": properties}}}}
    inner: Any = body
    depth = 0
    while isinstance(inner, dict):
        inner, depth = list(inner.values())[-1], depth + 1
    answer = target.api.send("POST", "/api/profiles", body)
    assert answer.status_code == (201 if depth <= 100 else 400), (depth, answer.text)
    assert depth == 100


def test_a_surrogate_pair_and_a_nul_are_texts_like_any_other(target):
    for name in (b'"\\ud83d\\ude00"', b'"a\\u0000b"'):
        answer = target.api.http.post(
            "/api/campaigns", content=named(name), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 201, answer.text
        assert answer.json()["data"]["attributes"]["name"] == json.loads(name)


BOUNDARY = b"Content-Type: multipart/form-data; boundary=b\r\n"
FILE = b'Content-Disposition: form-data; name="file"; filename="a.gif"\r\n'


def part(headers: bytes, content: bytes = b"GIF89a") -> bytes:
    return b"--b\r\n" + headers + b"\r\n" + content + b"\r\n"


FORMS = {
    "no boundary": (b"Content-Type: multipart/form-data\r\n", part(FILE) + b"--b--\r\n"),
    "an empty boundary": (b"Content-Type: multipart/form-data; boundary=\r\n", part(FILE) + b"--b--\r\n"),
    "a long boundary": (b"Content-Type: multipart/form-data; boundary=" + b"b" * 5000 + b"\r\n", b""),
    "a wrong boundary": (b"Content-Type: multipart/form-data; boundary=c\r\n", part(FILE) + b"--b--\r\n"),
    "no end": (BOUNDARY, part(FILE)),
    "no part": (BOUNDARY, b"--b--\r\n"),
    "nothing": (BOUNDARY, b""),
    "no file": (BOUNDARY, part(b'Content-Disposition: form-data; name="name"\r\n') + b"--b--\r\n"),
    "no name": (BOUNDARY, part(b"Content-Disposition: form-data\r\n") + b"--b--\r\n"),
    "no disposition": (BOUNDARY, part(b"X: y\r\n") + b"--b--\r\n"),
    "a file without a filename": (BOUNDARY, part(b'Content-Disposition: form-data; name="file"\r\n') + b"--b--\r\n"),
    "an empty filename": (
        BOUNDARY,
        part(b'Content-Disposition: form-data; name="file"; filename=""\r\n') + b"--b--\r\n",
    ),
    "a filename of bytes": (
        BOUNDARY,
        part(b'Content-Disposition: form-data; name="file"; filename="\xff.gif"\r\n') + b"--b--\r\n",
    ),
    "an unknown charset": (
        BOUNDARY,
        part(b'Content-Disposition: form-data; name="name"\r\nContent-Type: text/plain; charset=nonsense\r\n')
        + part(FILE)
        + b"--b--\r\n",
    ),
    "text that is not in its charset": (
        BOUNDARY,
        part(b'Content-Disposition: form-data; name="name"\r\n', b"\xff") + part(FILE) + b"--b--\r\n",
    ),
    "a field of bytes": (
        BOUNDARY,
        part(b'Content-Disposition: form-data; name="name"\r\nContent-Type: application/octet-stream\r\n', b"\xff")
        + part(FILE)
        + b"--b--\r\n",
    ),
    "an unknown transfer encoding": (
        BOUNDARY,
        part(FILE + b"Content-Transfer-Encoding: nonsense\r\n") + b"--b--\r\n",
    ),
    "broken base64": (BOUNDARY, part(FILE + b"Content-Transfer-Encoding: base64\r\n", b"a") + b"--b--\r\n"),
    "a nested form": (BOUNDARY, part(FILE + b"Content-Type: multipart/mixed; boundary=c\r\n") + b"--b--\r\n"),
    "no image": (BOUNDARY, part(FILE.replace(b"a.gif", b"a.txt")) + b"--b--\r\n"),
    "JSON": (JSON, b'{"file": {"filename": "a.gif", "size": 1}}'),
    "JSON with half a file": (JSON, b'{"file": {"x": 1}}'),
    "JSON text": (JSON, b'{"file": "a.gif"}'),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("path", [b"/api/image-upload", b"/api/campaigns", b"/oauth/token", b"/sandbox/faults"])
def test_a_form_that_is_none_is_refused(target, path, name):
    headers, body = FORMS[name]
    before = target.kept()
    assert 400 <= target.raw(b"POST " + path, KEY + headers, body) < 500
    assert target.kept() == before


def test_a_form_is_for_an_upload_only(target):
    attributes = {"type": "list", "attributes": {"name": "Form"}}
    answer = target.api.http.post(
        "/api/lists", files={"file": ("a.gif", b"GIF89a")}, data={"data": json.dumps(attributes)}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("filename", ["../../a.gif", "a.gif\x00.png", "é.gif", '"a".gif', "a" * 5000 + ".gif", ".gif"])
def test_a_filename_is_a_name_and_no_path(target, filename):
    answer = target.api.http.post("/api/image-upload", files={"file": (filename, b"GIF89a", "image/gif")})
    assert answer.status_code in (201, 400), answer.text
    if answer.status_code == 201:
        assert "/.." not in answer.json()["data"]["attributes"]["image_url"]


@pytest.mark.parametrize(
    "url", ["http://[", "http://[::1", "data:image/", "data:image/png;base64,%", "", "\x00", "a" * 9000]
)
def test_an_image_from_a_url_that_is_none_is_refused(target, url):
    before = target.kept()
    body = {"data": {"type": "image", "attributes": {"import_from_url": url}}}
    answer = target.api.send("POST", "/api/images", body)
    assert answer.status_code == (201 if url.startswith("data:image/png") else 400), answer.text
    if answer.status_code == 400:
        assert target.kept() == before
