"""What tells one profile from another, as 16 bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from airflow_provider_klaviyo.audiences.fields import IDENTIFIERS

KEY_BYTES, CONTENT_BYTES = 16, 8


def key_of(name: str, value: str) -> str:
    """What a profile with this identifier is told from others by, such as ``email:ada@example.com``.

    :param name: ``id``, ``email``, ``phone_number`` or ``external_id``.
    """
    return f"{name}:{value.lower() if name == 'email' else value}"


def keys_with(name: str, values: Sequence[str]) -> list[str]:
    """:func:`key_of` for many values."""
    if name != "email":
        return [f"{name}:{value}" for value in values]
    lines = "\n".join(values).lower()  # there are no line breaks in addresses
    return f"email:{lines}".replace("\n", "\nemail:").split("\n")


def digest_of_key(key: str) -> bytes:
    """The digest of a key."""
    return blake2b(key.encode(errors="surrogatepass"), digest_size=KEY_BYTES).digest()


def digest_of_content(content: bytes, clears: bytes | None) -> bytes:
    """The digest of all that an import does to one profile."""
    return blake2b(content if clears is None else content + b"\n" + clears, digest_size=CONTENT_BYTES).digest()


def identifiers_of(profile: Mapping[str, Any]) -> dict[str, Any]:
    """What a profile, as it is sent, is recognised by."""
    attributes = profile.get("attributes")
    known = {**(attributes if isinstance(attributes, Mapping) else {}), "id": profile.get("id")}
    return {name: known[name] for name in IDENTIFIERS if known.get(name) is not None}


def keys_of(identifiers: Mapping[str, Any]) -> list[bytes]:
    """The digests of each identifier of a profile; the first is that of its key."""
    return [
        digest_of_key(key_of(name, value))
        for name in IDENTIFIERS
        if isinstance(value := identifiers.get(name), str) and value
    ]
