"""Loads real gateways, breaks what can be broken, and decides from the history whether the queue kept its promises."""
