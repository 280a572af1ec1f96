"""A Redis server of the tests' own."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from harness.rest import HUNG

REDIS = shutil.which("redis-server")


def start_redis(directory: Path) -> subprocess.Popen[bytes]:
    """A Redis server that listens on ``directory/socket`` only and keeps nothing on disk."""
    assert REDIS, "this test needs redis-server on the PATH"
    server = subprocess.Popen(
        [REDIS, "--port", "0", "--unixsocket", str(directory / "socket"), "--save", "", "--appendonly", "no"],
        cwd=directory,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + HUNG
    while not (directory / "socket").exists():
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return server


def client(url: str) -> Any:
    """Somebody else who looks into a server; RESP2, as redis-py 8.0.0 cannot connect to a Unix socket without."""
    import redis

    return redis.Redis.from_url(url, protocol=2)
