"""Imports the pages: a module NAME/page.py registers its page when it is imported."""

from importlib import import_module

MODULES = ("queues", "queue", "access", "connect", "actions", "health")


def load() -> None:
    for name in MODULES:
        import_module(f"{__package__}.{name}.page")
