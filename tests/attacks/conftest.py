"""What attacks share: the fixtures of the integration tests."""

from tests.integration.conftest import own, role, service, stored

__all__ = ["own", "role", "service", "stored"]
