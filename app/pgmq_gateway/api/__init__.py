"""Endpoints, and the one function that handles a request."""
