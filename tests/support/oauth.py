"""The OAuth of a connection, as several test files have it."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_klaviyo.api.oauth import OAuth
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN


def make(url: str, *directories: Path, refresh_token: str = REFRESH_TOKEN, secret: str = CLIENT_SECRET) -> OAuth:
    return OAuth(
        "Connection 'c'",
        base_url=url,
        client_id=CLIENT_ID,
        client_secret=secret,
        refresh_token=refresh_token,
        directories=directories,
    )


def file_in(directory: Path) -> Path:
    [path] = directory.glob("*.json")
    return path
