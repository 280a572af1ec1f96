"""Small files for this user only. A link in the place of one is not followed."""

from __future__ import annotations

import os
from pathlib import Path

LARGEST = 64 * 1024
"""Bytes of a file that are read at most."""


def read(path: Path) -> str:
    """What a file holds.

    :raises OSError: it is not there, cannot be read, or is a link.
    :raises UnicodeDecodeError: it is not text. (It is a ``ValueError``.)
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a named pipe would wait for its writer
    with open(descriptor, "rb") as file:
        return file.read(LARGEST).decode()


def replace(path: Path, text: str, unfinished: Path) -> None:
    """Make a file hold a text. A crash leaves the old file or the new one, never half of one.

    :param unfinished: where it is written before it is complete; nobody else writes there now.
    :raises OSError: it cannot be written; what was there still is.
    """
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.replace(unfinished, path)
