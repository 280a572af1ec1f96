"""Rows become profiles in Klaviyo: read, gathered in a file, posted in jobs, waited for."""
