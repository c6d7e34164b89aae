"""The page Queues: all queues and the dialog that creates one."""
