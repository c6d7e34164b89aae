"""The embedded Postgres. Knows nothing of the gateway."""
