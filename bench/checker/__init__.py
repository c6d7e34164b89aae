"""Fault injection: loads gateways, injects faults, and checks the history of calls against a model of a queue."""
