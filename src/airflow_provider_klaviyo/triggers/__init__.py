"""Triggers, one module per subject: what waits in the triggerer."""
