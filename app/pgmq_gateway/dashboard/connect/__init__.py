"""The page Connect: code to copy."""
