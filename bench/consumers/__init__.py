"""The cost of leases, dead letters, groups and Idempotency-Keys beside calls without them."""
