"""What changes from one API revision to another so that code for the one misreads the other."""

from __future__ import annotations

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError

NEWEST_OF_CAMPAIGNS = "2026-07-15"
"""The newest revision whose campaigns have one audience, one strategy and one status, as everything here reads them."""

BETA_SINCE = "2026-04-15"
"""From here on, the beta revisions (``2026-04-15.pre``) have campaigns of the other kind already."""


def check_campaigns(revision: str) -> None:
    """Refuse a revision whose campaigns are of another kind.

    Its campaigns are trees of audiences, messages and variations, and have no status of their own: what reads or
    writes the old kind would misread the answers, and may leave a guard out.

    :param revision: as Klaviyo writes it: ``YYYY-MM-DD``, or ``YYYY-MM-DD.pre``.
    :raises KlaviyoValidationError: it is such a revision; the message names the newest of the other kind.
    """
    date, _, beta = revision.partition(".")
    if date > NEWEST_OF_CAMPAIGNS or (beta and date >= BETA_SINCE):
        raise KlaviyoValidationError(
            f"revision is {revision!r}, whose campaigns are of another kind: the campaign operators, sensors, triggers "
            f"and hook methods of this package speak revisions up to {NEWEST_OF_CAMPAIGNS!r}. Set "
            f"revision={NEWEST_OF_CAMPAIGNS!r} on the task, or in the connection's extra. KlaviyoApiOperator and "
            f"hook.call take any revision.",
            pointer="revision",
        )
