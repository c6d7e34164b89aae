"""The page Access: who may do what with a queue."""
