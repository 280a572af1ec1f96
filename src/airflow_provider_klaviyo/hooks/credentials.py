"""What a connection proves itself with: a private key, or the refresh token of an OAuth app."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.auth import Auth, PrivateKey, is_masked
from airflow_provider_klaviyo.api.errors import KlaviyoAuthError, KlaviyoValidationError

if TYPE_CHECKING:
    from airflow.sdk import Connection


def auth(where: str, connection: Connection, extra: Mapping[str, Any], base_url: str) -> Auth:
    """OAuth when the extra has a refresh token, else the private key in the password. No message tells a secret.

    :param where: the connection, as messages name it: ``Connection 'klaviyo_default'``.
    :param extra: the connection's extra, as a mapping.
    :param base_url: scheme and host that the connection is for.
    :raises KlaviyoAuthError: something is missing, or cannot be what it should be.
    :raises KlaviyoValidationError: the extra ``oauth`` is not understood.
    """
    cache = _cache(where, extra.get("oauth"))
    refresh_token = _refresh_token(where, extra)
    if refresh_token:
        return _oauth(where, connection, base_url, refresh_token, _directories() if cache else ())
    try:
        return PrivateKey(connection.password or "")
    except KlaviyoAuthError as error:
        hint = " For OAuth, the extra 'oauth_refresh_token' is needed as well." if connection.login else ""
        raise KlaviyoAuthError(f"{where}: {error}{hint}") from None


def _oauth(
    where: str, connection: Connection, base_url: str, refresh_token: str, directories: tuple[Path, ...]
) -> Auth:
    from airflow_provider_klaviyo.api.oauth import OAuth

    client_id, client_secret = (connection.login or "").strip(), (connection.password or "").strip()
    if not client_id or not client_secret:
        raise KlaviyoAuthError(
            f"{where}: its extra has a refresh token, so it is for OAuth: put the app's client id into the login and "
            f"the client secret into the password."
        )
    if client_secret.startswith("pk_"):
        raise KlaviyoAuthError(
            f"{where}: its password is a private key, but its extra has a refresh token. For OAuth, put the app's "
            f"client secret into the password; for the private key, take the refresh token out of the extra."
        )
    if is_masked(client_secret) or is_masked(refresh_token):
        raise KlaviyoAuthError(
            f"{where}: its password or refresh token is '***', which is how Airflow shows a secret, not the secret "
            f"itself. Type both again."
        )
    return OAuth(
        where,
        base_url=base_url,
        client_id=client_id,
        client_secret=client_secret,
        refresh_token=refresh_token,
        directories=directories,
    )


def _refresh_token(where: str, extra: Mapping[str, Any]) -> str:
    """The refresh token; empty when there is none.

    Airflow's form has flat fields only, so ``oauth_refresh_token`` means the same as ``refresh_token`` in ``oauth``.
    """
    nested = (extra.get("oauth") or {}).get("refresh_token")
    given = [token for token in (nested, extra.get("oauth_refresh_token")) if token is not None and token != ""]
    if not all(isinstance(token, str) and token.isascii() and token.isprintable() for token in given):
        raise KlaviyoAuthError(f"{where}: the refresh token in its extra is no text of printable ASCII characters.")
    tokens = {token.strip() for token in given}
    if len(tokens) > 1:
        raise KlaviyoAuthError(
            f"{where}: extras 'oauth' and 'oauth_refresh_token' hold different refresh tokens; give one of them."
        )
    return next(iter(tokens), "")


def _cache(where: str, oauth: Any) -> bool:
    """Whether access tokens are shared with other processes. It also checks the extra ``oauth`` as a whole."""
    given = {} if oauth is None or oauth == "" else oauth
    if isinstance(given, Mapping) and not given.keys() - {"refresh_token", "cache"}:
        cache = given.get("cache")
        if cache is None or isinstance(cache, bool):
            return cache is not False
    raise KlaviyoValidationError(
        f'{where}: extra \'oauth\' is not understood; give {{"refresh_token": "…"}} and, to keep access tokens out of '
        f'files, "cache": false.',
        pointer="oauth",
    )


def _directories() -> tuple[Path, ...]:
    """Where access tokens are kept for the processes of this host: with Airflow's files, else with temporary ones."""
    home = Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME", "~/airflow"))).expanduser()
    return home / "klaviyo-oauth", Path(tempfile.gettempdir()) / f"klaviyo-oauth-{os.geteuid()}"
