"""Waiting requests and streams: memory, connections, the delay of a delivery, and the cost for others."""
