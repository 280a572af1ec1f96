"""Transfers: rows of somewhere else in, Klaviyo's profiles out."""
