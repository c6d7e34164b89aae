"""The service manager: a lost one is a warning."""

from pathlib import Path

import pytest

from pgmq_gateway.process.systemd import Manager


def test_a_service_manager_that_cannot_be_reached_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "PATH": "/bin"}
    Manager.of(environment).ready("Serving")
    assert [record.getMessage() for record in caplog.records] == [
        "cannot notify the service manager: No such file or directory"
    ]
    assert environment == {"PATH": "/bin"}
