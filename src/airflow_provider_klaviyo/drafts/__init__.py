"""What a draft is, and whether it may go: find, write, assign, what was edited since, ready to send."""
