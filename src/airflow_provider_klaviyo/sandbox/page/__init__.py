"""The page that shows what the sandbox holds and what it was asked."""
