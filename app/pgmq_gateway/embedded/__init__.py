"""The embedded Postgres. Independent of the gateway."""
