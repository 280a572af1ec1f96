"""A local Klaviyo, for tests and for trying things out."""
