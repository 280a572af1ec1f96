"""OAuth tokens that several hosts share through Redis: refreshed once for all of them, and readable for nobody else."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.api import oauth, redis_tokens
from airflow_provider_klaviyo.api.errors import KlaviyoTransientError, KlaviyoValidationError
from airflow_provider_klaviyo.api.oauth import OAuth
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SECRETS, OAuthServer
from tests.support.redis import client

pytest.importorskip("redis")

pytestmark = pytest.mark.usefixtures("other_process")

HOSTS = 10
IN_HOSTS = """
import json, os, sys, time
from pathlib import Path
from airflow_provider_klaviyo.api.oauth import OAuth

url, directory, count, redis = json.loads(sys.argv[1])
at = time.time() + 0.5
pids = []
for number in range(count):
    if not (pid := os.fork()):
        time.sleep(at - time.time())
        auth = OAuth(
            "Connection 'c'", base_url=url, client_id="the-client-id", client_secret="the-client-secret",
            refresh_token="the-refresh-token", directories=[Path(directory) / str(number)], redis=redis,
        )
        os._exit(0 if auth.header() == "Bearer access-1" else 1)
    pids.append(pid)
print(json.dumps([os.waitpid(pid, 0)[1] for pid in pids]))
"""


@pytest.fixture
def shared(redis_url: str) -> Iterator[Any]:
    """A client of the Redis server, empty at the begin of each test."""
    with client(redis_url) as server:
        server.flushdb()
        yield server


def make(server: OAuthServer, redis_url: str, host: Path, *, secret: str = CLIENT_SECRET) -> OAuth:
    return OAuth(
        "Connection 'c'",
        base_url=server.url,
        client_id=CLIENT_ID,
        client_secret=secret,
        refresh_token=REFRESH_TOKEN,
        directories=[host],
        redis=redis_url,
    )


def token_key(shared: Any) -> bytes:
    [key] = [key for key in shared.scan_iter() if not key.endswith(b":lock")]
    assert isinstance(key, bytes)
    return key


def test_hosts_that_start_together_refresh_once(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path
) -> None:
    server.delay = 0.2
    arguments = json.dumps([server.url, str(tmp_path), HOSTS, redis_url])
    done = subprocess.run([sys.executable, "-c", IN_HOSTS, arguments], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == [0] * HOSTS, done.stderr
    assert len(server.refreshes) == 1


def test_a_token_that_was_refused_on_all_hosts_is_refreshed_once(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path, other_process: Callable[[], None]
) -> None:
    refused = make(server, redis_url, tmp_path / "one").header()
    other_process()
    assert make(server, redis_url, tmp_path / "two").header(refused) == "Bearer access-2"
    other_process()
    assert make(server, redis_url, tmp_path / "one").header(refused) == "Bearer access-2"
    assert len(server.refreshes) == 2


def test_a_replaced_refresh_token_is_known_to_other_hosts(
    server: OAuthServer,
    redis_url: str,
    shared: Any,
    tmp_path: Path,
    other_process: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.rotate = True
    refused = make(server, redis_url, tmp_path / "one").header()
    other_process()
    assert make(server, redis_url, tmp_path / "two").header(refused) == "Bearer access-2"
    assert [form["refresh_token"] for form in server.refreshes] == [REFRESH_TOKEN, "rotated-1"]
    assert shared.ttl(token_key(shared)) > 80 * 86_400
    assert "when Redis has lost it" in caplog.text
    [kept] = (tmp_path / "two").glob("*.json")
    assert str(kept) in caplog.text
    assert json.loads(kept.read_text())["refresh"] == "rotated-2"


def test_what_redis_has_lost_is_in_the_hosts_file(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path, other_process: Callable[[], None]
) -> None:
    first = make(server, redis_url, tmp_path).header()
    shared.flushdb()
    other_process()
    assert make(server, redis_url, tmp_path).header() == first
    assert len(server.refreshes) == 1


def test_a_host_without_a_place_for_the_file_shares_the_token_without_a_warning(
    server: OAuthServer,
    redis_url: str,
    shared: Any,
    tmp_path: Path,
    other_process: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    tmp_path.chmod(0o777)
    first = make(server, redis_url, tmp_path).header()
    other_process()
    assert make(server, redis_url, tmp_path).header() == first
    assert len(server.refreshes) == 1
    assert list(tmp_path.iterdir()) == []
    assert "cannot be shared" not in caplog.text


def test_a_file_that_cannot_be_written_beside_redis_is_not_warned_of(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    auth = make(server, redis_url, tmp_path)
    refused = auth.header()
    [path] = tmp_path.glob("*.json")
    path.unlink()
    path.mkdir()
    assert auth.header(refused) == "Bearer access-2"
    assert "cannot be shared" not in caplog.text


def test_who_can_read_the_redis_cannot_use_the_token(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path
) -> None:
    server.rotate = True
    make(server, redis_url, tmp_path).header()
    kept = shared.get(token_key(shared))
    assert not any(secret.encode() in part for secret in (CLIENT_ID, *SECRETS) for part in (kept, token_key(shared)))


def test_a_token_lasts_in_redis_as_long_as_it_is_good(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path
) -> None:
    make(server, redis_url, tmp_path).header()
    assert 3400 < shared.ttl(token_key(shared)) <= 3540


def test_other_credentials_do_not_get_the_token(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path
) -> None:
    make(server, redis_url, tmp_path).header()
    with pytest.raises(Exception, match="invalid_client"):
        make(server, redis_url, tmp_path, secret="another").header()


@pytest.mark.parametrize("content", [b"", b"not a token", b"\xff\x00"])
def test_what_is_not_understood_in_redis_is_replaced(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path, other_process: Callable[[], None], content: bytes
) -> None:
    make(server, redis_url, tmp_path / "one").header()
    key = token_key(shared)
    shared.set(key, content)
    other_process()
    assert make(server, redis_url, tmp_path / "two").header() == "Bearer access-2"
    assert shared.get(key) != content


def test_a_redis_that_is_away_costs_the_sharing_between_hosts_only(
    server: OAuthServer, tmp_path: Path, other_process: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    away = f"unix://{tempfile.gettempdir()}/nobody-listens-here"
    first = make(server, away, tmp_path).header()
    assert "cannot be shared with other hosts" in caplog.text
    other_process()
    assert make(server, away, tmp_path).header() == first
    assert len(server.refreshes) == 1


def test_the_lock_of_a_host_that_died_holds_up_the_others_for_a_while_only(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = make(server, redis_url, tmp_path)
    refused = auth.header()
    monkeypatch.setattr(redis_tokens, "LONGEST_LOCK", 1.0)
    shared.set(token_key(shared) + b":lock", b"of a host that died", px=1000)
    assert auth.header(refused) == "Bearer access-2"


def test_a_lock_that_does_not_become_free_is_a_passing_failure(
    server: OAuthServer, redis_url: str, shared: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = make(server, redis_url, tmp_path)
    refused = auth.header()
    monkeypatch.setattr(oauth, "PATIENCE", 0.3)
    shared.set(token_key(shared) + b":lock", b"of a host that hangs")
    with pytest.raises(KlaviyoTransientError, match="has been refreshing"):
        auth.header(refused)
    assert len(server.refreshes) == 1


def test_no_secret_of_redis_is_in_a_message(
    server: OAuthServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    make(server, "redis://user:the-redis-password@127.0.0.1:1/0", tmp_path).header()
    assert "cannot be shared" in caplog.text
    assert "the-redis-password" not in caplog.text
    with pytest.raises(KlaviyoValidationError) as caught:
        make(server, "redis://user:the-redis-password@[/0", tmp_path)
    assert "the-redis-password" not in str(caught.value)
