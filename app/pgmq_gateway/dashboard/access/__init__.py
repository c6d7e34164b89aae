"""The page Access: permissions and policies of a queue."""
