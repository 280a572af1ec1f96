#!/usr/bin/env python3
"""Distil a catalogue of operations, ``{"Create event": "create_event", …}``, into the names that tests go through.

    python -m scripts.distill_catalogue catalogue.json

It writes ``tests/api/catalogue.txt``: one operation name a line, sorted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "tests" / "api" / "catalogue.txt"


def main(documents: list[str]) -> None:
    if len(documents) != 1:
        raise SystemExit(__doc__)
    names = sorted(set(json.loads(Path(documents[0]).read_text()).values()))
    TARGET.write_text("".join(f"{name}\n" for name in names))
    print(f"{TARGET.name}: {len(names)} operations")


if __name__ == "__main__":
    main(sys.argv[1:])
