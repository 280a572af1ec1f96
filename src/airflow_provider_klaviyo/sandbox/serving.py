"""``klaviyo-sandbox serve``: its first line, its banner, and a line for each request."""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import sys
from pathlib import Path

from airflow_provider_klaviyo.sandbox.embedded import listen, server
from airflow_provider_klaviyo.sandbox.journal import Entry
from airflow_provider_klaviyo.sandbox.seed import DEFAULT
from airflow_provider_klaviyo.sandbox.server import Server

SEEDED = ("campaign", "template", "list", "segment", "profile")


async def serving(
    host: str, port: int, *, limits: str, speed: float, data: Path | None, seed: Path | None, strict: bool, quiet: bool
) -> None:
    """Serve until the process is interrupted. The first line on stdout is the URL; all else goes to stderr.

    :param quiet: True for the first line alone.
    :raises OSError: it cannot listen there, or a file cannot be read.
    :raises ValueError: a file is not understood.
    """
    to = server(limits=limits == "on", speed=speed, data=data, seed=seed or DEFAULT, strict=strict)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        runner, url = await listen(to, host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        hint = "Give another one, or --port 0 for any that is free."
        raise OSError(f"Port {port} of {host} is in use (address already in use). {hint}") from error
    print(f"Klaviyo sandbox at {url}", flush=True)
    if not quiet:
        print(banner(to, url), file=sys.stderr, flush=True)
        to.answered = show
    await stop.wait()
    await runner.cleanup()
    to.klaviyo.saved()


def banner(to: Server, url: str) -> str:
    """What one needs to begin: the page, the connection, what is there, and the limits."""
    connection = json.dumps({"conn_type": "klaviyo", "host": url, "password": "pk_any"})
    counts = ((len(list(to.klaviyo.store.all(type_))), type_) for type_ in SEEDED)
    return "\n".join(
        (
            f"  Page:       {url}/",
            f"  Connection: export AIRFLOW_CONN_KLAVIYO_DEFAULT='{connection}'",
            f"  Account:    {', '.join(f'{count} {type_}s' for count, type_ in counts)}",
            f"  Limits:     {'on' if to.klaviyo.windows.enforced else 'off'} (--limits on, --limits off)",
        )
    )


def show(entry: Entry) -> None:
    """A request in one line, without its query and body."""
    fault = f"  fault: {entry.fault}" if entry.fault else ""
    print(
        f"{entry.at[11:23]} {entry.status or 'cut'} {entry.method} {entry.path!a}{fault}", file=sys.stderr, flush=True
    )
