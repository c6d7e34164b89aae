"""The pages. A module NAME/page.py registers its page when it is imported; here are their names."""

from importlib import import_module

MODULES = ("queues", "queue", "access", "connect", "health")


def load() -> None:
    """Have all pages registered."""
    for name in MODULES:
        import_module(f"{__package__}.{name}.page")
