"""The page of all queues."""
