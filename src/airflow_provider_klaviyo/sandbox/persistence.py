"""State that outlives the process, in one JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow_provider_klaviyo.sandbox.clock import Clock
from airflow_provider_klaviyo.sandbox.store import Store


def save(path: Path, store: Store, clock: Clock) -> None:
    """Write the state; a crash leaves the old file or the new one, never half of one."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(json.dumps({"ahead": clock.ahead, "store": store.to_json()}), encoding="utf-8")
    os.replace(unfinished, path)


def load(path: Path) -> tuple[Store, float] | None:
    """The saved state, and how far the clock was ahead; ``None`` when nothing was saved yet.

    :raises ValueError: the file is not one of the sandbox's.
    """
    if not path.exists():
        return None
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        ahead = saved["ahead"]
        if isinstance(ahead, bool):
            raise TypeError("ahead is not a number")
        Clock(ahead=ahead)
        return Store.from_json(saved["store"]), ahead
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no sandbox state ({error}). Remove it, or name another file.") from None
