"""Lifecycles at once on a cluster whose parts are killed, through one account's limits."""
