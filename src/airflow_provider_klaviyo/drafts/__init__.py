"""What a draft is, and if it may go: find, write, assign, what was edited since, ready to send."""
