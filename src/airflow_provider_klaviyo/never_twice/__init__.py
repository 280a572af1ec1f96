"""The never-twice protocol: intent before a write, identity after it, look-up on re-entry."""
