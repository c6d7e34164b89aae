"""The page Actions."""
