"""The pages. A module registers its pages when it is imported; here is the list of them."""

from importlib import import_module

MODULES = ("queues", "queue", "access", "connect", "health")


def load() -> None:
    """Have all pages registered."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
