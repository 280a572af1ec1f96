"""Measurements of this package against others."""
