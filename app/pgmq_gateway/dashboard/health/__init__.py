"""The page Health: the gateway and its database."""
