"""Rate limits per caller."""
