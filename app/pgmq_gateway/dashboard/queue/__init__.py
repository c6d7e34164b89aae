"""The page of one queue: its figures, charts and messages."""
