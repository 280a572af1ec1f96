"""The command ``klaviyo-sandbox``.

It ends with 0; with 1 when no sandbox answers, or a replay differs; with 2 for wrong usage.

Click, because every Airflow brings it, it is one small package where there is no Airflow, and it checks the options.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

try:
    import click
except ModuleNotFoundError:
    sys.exit("klaviyo-sandbox: click is not installed: pip install 'airflow-provider-klaviyo[sandbox]'.")

from airflow_provider_klaviyo.api.network import is_loopback
from airflow_provider_klaviyo.sandbox.clock import FASTEST, Clock
from airflow_provider_klaviyo.sandbox.controls import ControlError, Controls

PORT = 5528
"""The default port: KLAV on a telephone's keys."""

AT = click.option("--url", default=f"http://127.0.0.1:{PORT}", envvar="KLAVIYO_SANDBOX_URL", help="the sandbox to ask")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="print JSON")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :return: the exit status.
    """
    try:
        return int(commands.main(argv, prog_name="klaviyo-sandbox", standalone_mode=False) or 0)
    except click.ClickException as error:
        print(f"klaviyo-sandbox: {error.format_message()}", file=sys.stderr)
        return 2
    except ControlError as error:
        print(f"klaviyo-sandbox: {error}", file=sys.stderr)
        return 1


def _version() -> str:
    try:
        return version("airflow-provider-klaviyo")
    except PackageNotFoundError:
        return "not installed"


@click.group()
@click.version_option(_version())
def commands() -> None:
    """A local Klaviyo that sends nothing."""


def _speed(_: click.Context, __: click.Parameter, value: float) -> float:
    try:
        return Clock(value).speed
    except ValueError:
        raise click.BadParameter(f"{value} is not a number above 0 and up to {FASTEST:.0f}") from None


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="port, 0 for a free one")
@click.option("--limits", type=click.Choice(["on", "off"]), default="on", show_default=True, help="enforce rate limits")
@click.option("--speed", type=float, callback=_speed, default=1.0, help="sandbox seconds per real second (default: 1)")
@click.option("--data", type=click.Path(path_type=Path), help="keep the state in this file, and take it up again")
@click.option("--seed", type=click.Path(path_type=Path), help="JSON with what the account holds at the start")
@click.option("--strict", is_flag=True, help="check every answer against the published schema")
@click.option("--allow-remote", is_flag=True, help="allow a --host that other machines can reach")
@click.option("--quiet", is_flag=True, help="no banner, and no line for each request")
def serve(host: str, port: int, allow_remote: bool, **settings: Any) -> None:
    """Run the sandbox until interrupted."""
    if not (is_loopback(host) or allow_remote):
        raise click.UsageError(f"{host} can be reached from other machines. Add --allow-remote if that is wanted.")
    data = settings["data"]
    if data and not (data.parent.is_dir() and os.access(data.parent, os.W_OK)):
        raise click.UsageError(f"--data {data}: {data.parent} is not a folder that can be written to.")
    try:
        from airflow_provider_klaviyo.sandbox.serving import serving
    except ModuleNotFoundError as missing:
        raise click.UsageError(
            f"{missing.name} is not installed: pip install 'airflow-provider-klaviyo[sandbox]'."
        ) from missing
    try:
        asyncio.run(serving(host, port, **settings))
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from error


@commands.command()
@AT
def reset(url: str) -> None:
    """Begin anew: a fresh account, no faults, no log."""
    _controls(url).call("POST", "/sandbox/reset")


@commands.command()
def seed() -> None:
    """Print what the account holds at the start, to begin a --seed of one's own."""
    print(Path(__file__).with_name("seed.json").read_text(encoding="utf-8"), end="")


@commands.command()
@AT
@AS_JSON
def sends(url: str, as_json: bool) -> None:
    """What has reached people: one row for each delivery."""
    _show(_controls(url).get("/sandbox/sends"), as_json, ("at", "name", "channel", "recipients", "campaign_id"))


@commands.command()
@AT
@AS_JSON
def requests(url: str, as_json: bool) -> None:
    """What the API was asked."""
    columns = ("at", "method", "path", "status", "committed", "operation", "fault")
    _show(_controls(url).get("/sandbox/requests"), as_json, columns)


@commands.command()
@click.option("--add", metavar="JSON", help="add a fault, or a list of them")
@click.option("--clear", is_flag=True, help="remove all, before any is added")
@AT
@AS_JSON
def faults(add: str | None, clear: bool, url: str, as_json: bool) -> None:
    """What is to go wrong, and how often it has."""
    controls = _controls(url)
    try:
        rules = json.loads(add) if add else None
    except ValueError as error:
        raise click.UsageError(f"--add is not JSON: {error}.") from None
    if clear:
        controls.call("DELETE", "/sandbox/faults")
    if rules is not None:
        controls.call("POST", "/sandbox/faults", rules)
    _show(controls.get("/sandbox/faults"), as_json, ("operation", "fault", "times", "skip", "status", "fired"))


@commands.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", envvar="KLAVIYO_SANDBOX_URL", help="the sandbox to empty and use, instead of one of its own")
@click.option("--seed", type=click.Path(exists=True, path_type=Path), help="what the account of its own holds")
@AS_JSON
def replay(file: Path, url: str | None, seed: Path | None, as_json: bool) -> int:
    """Send a saved request log again: what `requests --json` printed. Ends with 1 when anything ends differently."""
    from airflow_provider_klaviyo.sandbox.embedded import STILL, Sandbox
    from airflow_provider_klaviyo.sandbox.replay import read
    from airflow_provider_klaviyo.sandbox.replay import replay as again
    from airflow_provider_klaviyo.sandbox.seed import DEFAULT

    try:
        rows = read(file.read_text(encoding="utf-8"))
        if url:
            done = again(rows, _controls(url))
        else:
            with Sandbox(limits=False, speed=STILL, seed=seed or DEFAULT) as own:
                done = again(rows, Controls(own.url))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{file}: {error}.") from error
    _show([asdict(one) for one in done], as_json, ("number", "method", "path", "was", "now", "why"))
    return 0 if all(one.is_same for one in done) else 1


def _controls(url: str) -> Controls:
    try:
        return Controls(url)
    except ValueError as error:
        raise click.UsageError(f"--url: {error}") from None


def _show(rows: list[dict[str, Any]], as_json: bool, columns: tuple[str, ...]) -> None:
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = [columns, *(tuple("" if row[name] is None else str(row[name]) for name in columns) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
