"""Files that processes share: for their user only, never through a link, and worth nothing when they are damaged."""

from __future__ import annotations

import json
import math
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.api import oauth
from airflow_provider_klaviyo.api.limits import MemoryBookings
from airflow_provider_klaviyo.api.oauth import OAuth
from airflow_provider_klaviyo.api.pacing import Pacing
from airflow_provider_klaviyo.api.tokens import Token, TokenFile
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, OAuthServer
from tests.support.scripted import Scripted, json_api

HEADERS = {"cid": "Sandb0"}


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """What is private is so by its making, and not by the umask of who runs the tests."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- which account a key belongs to -----------------------------------------------------------------------------------


def pacing(accounts: Path) -> Pacing:
    return Pacing("pk_x", "https://a.klaviyo.com", MemoryBookings(), accounts, by_account=True, share=1.0, max_wait=1)


def learnt(accounts: Path) -> Path:
    pacing(accounts).learn(HEADERS)
    [file] = accounts.iterdir()
    return file


def knows(accounts: Path) -> bool:
    """True if a new process knows the account without having asked."""
    from airflow_provider_klaviyo.api.operations import get

    again = pacing(accounts)
    again.wait(get("get_campaign"))
    return not again.is_news(HEADERS)


def test_what_is_learnt_of_a_key_is_in_a_file_of_this_user_only(tmp_path: Path) -> None:
    file = learnt(tmp_path / "accounts")
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert knows(file.parent)


@pytest.mark.parametrize("place", ["file", "draft of this process"])
def test_an_account_is_not_written_through_a_link(tmp_path: Path, place: str) -> None:
    file = learnt(tmp_path / "accounts")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    file.unlink()
    (file if place == "file" else file.with_suffix(f".{os.getpid()}")).symlink_to(elsewhere)
    pacing(file.parent).learn(HEADERS)
    assert elsewhere.read_text() == "precious"


def test_an_account_is_not_read_through_a_link(tmp_path: Path) -> None:
    file = learnt(tmp_path / "accounts")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("Sandb0")
    file.unlink()
    file.symlink_to(elsewhere)
    assert not knows(file.parent)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../../x", b"Sandb0\n", b"a b", b"x" * 10**6, "é".encode()])
def test_an_account_that_cannot_be_one_is_not_known(tmp_path: Path, content: bytes) -> None:
    file = learnt(tmp_path / "accounts")
    file.write_bytes(content)
    assert not knows(file.parent)


def test_a_pipe_in_the_place_of_the_file_holds_up_nobody(tmp_path: Path) -> None:
    file = learnt(tmp_path / "accounts")
    file.unlink()
    os.mkfifo(file)
    assert not knows(file.parent)


# --- access tokens ----------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> TokenFile:
    file = TokenFile(tmp_path / "token.json")
    file.write(Token("access-1", time.time() + 1000, "refresh-2"))
    return file


def test_a_token_is_in_a_file_of_this_user_only(kept: TokenFile) -> None:
    assert mode(kept.path) == 0o600
    assert kept.read() is not None


def test_an_unfinished_file_that_all_may_read_is_not_left_so(kept: TokenFile) -> None:
    unfinished = kept.path.with_suffix(".new")
    unfinished.touch(0o666)
    kept.write(Token("access-2", time.time() + 1000))
    assert mode(kept.path) == 0o600


def test_a_token_is_not_read_through_a_link(kept: TokenFile, tmp_path: Path) -> None:
    link = TokenFile(tmp_path / "link.json")
    link.path.symlink_to(kept.path)
    assert link.read() is None


@pytest.mark.parametrize("suffix", [".new", ".lock"])
def test_a_token_is_not_written_through_a_link(kept: TokenFile, tmp_path: Path, suffix: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    kept.path.with_suffix(suffix).symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic link"), kept.locked(0.1):
        kept.write(Token("access-2", time.time() + 1000))
    assert elsewhere.read_text() == "precious"


def test_a_pipe_in_the_place_of_a_token_holds_up_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token.json")
    assert TokenFile(tmp_path / "token.json").read() is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"access": "a"}',
        b'{"access": "", "good_until": 1}',
        b'{"access": "a\\nb", "good_until": 1}',
        b'{"access": "a", "good_until": true}',
        b'{"access": "a", "good_until": "1"}',
        b'{"access": "a", "good_until": 1, "refresh": 5}',
        b'{"access": "a", "good_until": 1, "refresh": "\\u0000"}',
        b"[" * 60_000,
    ],
)
def test_a_token_that_cannot_be_one_is_not_used(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token.json"
    path.write_bytes(content)
    assert TokenFile(path).read() is None


@pytest.mark.parametrize("good_until", [math.inf, math.nan, 1e300, 10**17])
def test_a_token_that_claims_to_be_good_for_ever_is_refreshed_with_what_is_kept_beside_it(
    kept: TokenFile, good_until: float
) -> None:
    content = {"access": "access-1", "good_until": good_until, "refresh": "refresh-2"}
    kept.path.write_text(json.dumps(content))
    token = kept.read()
    assert token is not None
    assert token.good_until < time.time()
    assert token.refresh == "refresh-2"


@pytest.mark.parametrize("lifetime", ["1e400", "Infinity", "NaN", "-1", "0", "true", "null", '"3600"', "9" * 30])
def test_a_lifetime_that_cannot_be_is_bounded(tmp_path: Path, lifetime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "_shared", {})
    body: Any = {"access_token": "access-1", "expires_in": json.loads(lifetime)}
    with Scripted(json_api(200, body)) as server:
        auth = OAuth(
            "Connection 'c'",
            base_url=server.url,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            refresh_token=REFRESH_TOKEN,
            directories=[tmp_path / "tokens"],
        )
        assert auth.header() == "Bearer access-1"
    [file] = (tmp_path / "tokens").glob("*.json")
    good_until = json.loads(file.read_text())["good_until"]
    assert time.time() < good_until <= time.time() + 86_400


def test_tokens_of_a_real_exchange_are_for_this_user_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "_shared", {})
    directory = tmp_path / "klaviyo-oauth"
    with OAuthServer() as server:
        OAuth(
            "Connection 'c'",
            base_url=server.url,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            refresh_token=REFRESH_TOKEN,
            directories=[directory],
        ).header()
    assert {mode(path) for path in directory.iterdir()} == {0o600}
    assert mode(directory) == 0o700
