"""Failover: a Patroni cluster loses its primary under load, and the history of calls is checked against a model."""
