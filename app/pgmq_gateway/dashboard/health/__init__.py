"""The page Health: figures of the gateway and of its database."""
