"""The page Connect: code that calls the gateway, and test tokens."""
