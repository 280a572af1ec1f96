"""The command ``klaviyo-sandbox``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_klaviyo.api.network import is_loopback
from airflow_provider_klaviyo.sandbox.clock import FASTEST, Clock

LIMITS = ("on", "off")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :return: the exit status.
    """
    arguments = _parser().parse_args(argv)
    if not (is_loopback(arguments.host) or arguments.allow_remote):
        return _refuse(f"{arguments.host} can be reached from other machines. Add --allow-remote if that is wanted.")
    try:
        asyncio.run(_serve(arguments))
    except (OSError, ValueError) as error:
        return _refuse(str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="klaviyo-sandbox", description="A local Klaviyo that sends nothing.")
    serve = parser.add_subparsers(required=True).add_parser("serve", help="run the sandbox until interrupted")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=_port, default=8025, help="port, 0 for a free one (default: %(default)s)")
    serve.add_argument("--limits", choices=LIMITS, default="on", help="enforce rate limits (default: %(default)s)")
    serve.add_argument("--speed", type=_speed, default=1.0, help="sandbox seconds per real second (default: 1)")
    serve.add_argument("--data", type=Path, help="keep the state in this file, and take it up again")
    serve.add_argument("--seed", type=Path, help="JSON with what the account holds at the start")
    serve.add_argument("--strict", action="store_true", help="check every answer against the published schema")
    serve.add_argument("--allow-remote", action="store_true", help="allow a --host that other machines can reach")
    return parser


async def _serve(arguments: argparse.Namespace) -> None:
    try:
        from airflow_provider_klaviyo.sandbox.embedded import listen, server
        from airflow_provider_klaviyo.sandbox.seed import DEFAULT
    except ModuleNotFoundError as missing:
        raise ValueError(
            f"{missing.name} is not installed: pip install 'airflow-provider-klaviyo[sandbox]'."
        ) from missing
    serving = server(
        limits=arguments.limits == "on",
        speed=arguments.speed,
        data=arguments.data,
        seed=arguments.seed or DEFAULT,
        strict=arguments.strict,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner, url = await listen(serving, arguments.host, arguments.port)
    print(f"Klaviyo sandbox at {url}", flush=True)
    await stop.wait()
    await runner.cleanup()
    serving.klaviyo.saved()


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 65535")
    return port


def _speed(text: str) -> float:
    try:
        return Clock(float(text)).speed
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0 and up to {FASTEST:.0f}") from None


def _refuse(why: str) -> int:
    print(f"klaviyo-sandbox: {why}", file=sys.stderr)
    return 2
