"""What Airflow reads at discovery. It is imported in every Airflow process, so it imports nothing itself."""

from __future__ import annotations

from typing import Any

DOCUMENTATION = "https://github.com/airflow-provider-klaviyo/airflow-provider-klaviyo/blob/main/docs/index.md"
"""As ``Documentation`` in ``pyproject.toml``, which Airflow's list of providers links to."""


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata.

    Airflow 3.3 and later renders the connection form from it without importing the hook; 3.2 imports all hooks of all
    providers for that. A name that differs from the distribution's, or a break of Airflow's schema, would stop the
    discovery of *all* providers: tests check both.
    """
    package = "airflow_provider_klaviyo"
    return {
        "package-name": "airflow-provider-klaviyo",
        "name": "Klaviyo",
        "description": "Run Klaviyo marketing campaigns as tasks: create, clone, estimate, send once, wait.",
        "integrations": [
            {
                "integration-name": "Klaviyo",
                "external-doc-url": DOCUMENTATION,
                "tags": ["service"],
            }
        ],
        "connection-types": [
            {
                "connection-type": "klaviyo",
                "hook-class-name": f"{package}.hooks.klaviyo.KlaviyoHook",
                "hook-name": "Klaviyo",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {
                        "login": "OAuth client id",
                        "password": "Private API key, or OAuth client secret",
                        "host": "Base URL",
                    },
                    "placeholders": {
                        "login": "only for OAuth",
                        "password": "pk_…",
                        "host": "https://a.klaviyo.com",
                    },
                },
                "conn-fields": {
                    "revision": {
                        "label": "API revision",
                        "description": "The date of the Klaviyo API to speak; empty: 2026-04-15.",
                        "schema": {"type": ["string", "null"], "pattern": r"^\d{4}-\d{2}-\d{2}(\.\w+)?$"},
                    },
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds to wait for an answer of Klaviyo; empty: 60.",
                        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 600},
                    },
                    "rate_limit": {
                        "label": "Rate limit",
                        "description": (
                            'How calls are paced: {"share": 0.9, "max_wait": 60}, for several hosts also "redis"; or '
                            "true or false. Empty: calls to Klaviyo are paced."
                        ),
                        "schema": {"type": ["object", "null"]},
                    },
                    "oauth_refresh_token": {
                        "label": "OAuth refresh token",
                        "description": "Only for OAuth: from the authorisation of the app by the account.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "read_only": {
                        "label": "Read only",
                        "description": "Refuse whatever would change something in Klaviyo.",
                        "schema": {"type": ["boolean", "null"]},
                    },
                    "require_test_account": {
                        "label": "Require a test account",
                        "description": "Refuse to send unless Klaviyo says that the account is a test account.",
                        "schema": {"type": ["boolean", "null"]},
                    },
                },
            }
        ],
        "hooks": [{"integration-name": "Klaviyo", "python-modules": [f"{package}.hooks.klaviyo"]}],
        "operators": [
            {
                "integration-name": "Klaviyo",
                "python-modules": [
                    f"{package}.operators.api",
                    f"{package}.operators.approval",
                    f"{package}.operators.audiences",
                    f"{package}.operators.campaigns",
                    f"{package}.operators.reports",
                    f"{package}.operators.templates",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "Klaviyo",
                "python-modules": [f"{package}.sensors.audiences", f"{package}.sensors.campaigns"],
            }
        ],
        "triggers": [
            {
                "integration-name": "Klaviyo",
                "python-modules": [
                    f"{package}.triggers.audiences",
                    f"{package}.triggers.campaigns",
                    f"{package}.triggers.jobs",
                    f"{package}.triggers.pause",
                    f"{package}.triggers.watcher",
                ],
            }
        ],
        "transfers": [
            {
                "source-integration-name": "Klaviyo",
                "target-integration-name": "Common IO",
                "python-module": f"{package}.transfers.klaviyo_to_storage",
            },
            {
                "source-integration-name": "Common SQL",
                "target-integration-name": "Klaviyo",
                "python-module": f"{package}.transfers.sql_to_klaviyo",
            },
        ],
        "notifications": [f"{package}.notifications.klaviyo.KlaviyoEventNotifier"],
        "asset-uris": [
            {
                "schemes": ["klaviyo"],
                "handler": f"{package}.assets.normalised",
                "factory": f"{package}.assets.campaign_asset",
                "to_openlineage_converter": f"{package}.assets.openlineage_dataset",
            }
        ],
        "extra-links": [f"{package}.tasks.KlaviyoCampaignLink"],
    }
