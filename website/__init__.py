"""The documentation's site, and the pages of its reference that are generated. Neither is part of the package."""
