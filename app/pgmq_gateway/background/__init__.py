"""Periodic work of the gateway: samples and maintenance of the queues."""
