"""pgmq-gateway: Postgres message queues over HTTP, every caller in its own Postgres role."""
