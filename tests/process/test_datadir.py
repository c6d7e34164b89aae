"""The data directory: its modes, its secret and its lock, with real processes."""

import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgmq_gateway.embedded.datadir import DataDirectory, DataDirectoryError, DataDirectoryHeld, Holder

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from pgmq_gateway.embedded.datadir import DataDirectory
with DataDirectory(sys.argv[1]).hold("serve") as hold:
    hold.announce("http://127.0.0.1:3000")
    print("held", flush=True)
    sys.stdin.read()
"""

SECRET = """
import sys
from pgmq_gateway.embedded.datadir import DataDirectory
print("ready", flush=True)
sys.stdin.read()
print(DataDirectory(sys.argv[1]).secrets().jwt_secret)
"""

ordinary_user = pytest.mark.skipif(os.geteuid() == 0, reason="modes do not stop root")


@pytest.fixture
def directory() -> Iterator[DataDirectory]:
    base = Path(tempfile.mkdtemp())
    yield DataDirectory(base / ".pgmq-gateway")
    shutil.rmtree(base)


def run_child(script: str, directory: DataDirectory) -> subprocess.Popen[str]:
    """A process that runs `script` and has printed its first line."""
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(directory.path)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout
    child.stdout.readline()
    return child


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_prepare_makes_a_private_folder_that_git_ignores(directory: DataDirectory) -> None:
    directory.prepare()
    directory.prepare()
    assert mode(directory.path) == 0o700
    assert (directory.path / ".gitignore").read_text() == "*\n"
    assert mode(directory.lock) == 0o600


def test_prepare_corrects_the_mode_of_an_old_folder(directory: DataDirectory) -> None:
    directory.prepare()
    directory.path.chmod(0o755)
    directory.prepare()
    assert mode(directory.path) == 0o700


def test_prepare_refuses_a_file(directory: DataDirectory) -> None:
    directory.path.write_text("")
    with pytest.raises(DataDirectoryError, match="is a file, not a folder: choose another --data-dir"):
        directory.prepare()


def test_prepare_refuses_a_path_below_a_file(directory: DataDirectory) -> None:
    directory.path.write_text("")
    with pytest.raises(DataDirectoryError, match="is a file, not a folder"):
        DataDirectory(directory.path / "below").prepare()


def test_prepare_leaves_a_folder_with_other_files_alone(directory: DataDirectory) -> None:
    directory.path.mkdir(mode=0o755)
    (directory.path / "main.py").write_text("")
    with pytest.raises(DataDirectoryError, match=r"has other files \(main.py\)"):
        directory.prepare()
    assert mode(directory.path) == 0o755
    assert os.listdir(directory.path) == ["main.py"]


@ordinary_user
def test_prepare_names_the_user_without_permission(directory: DataDirectory) -> None:
    directory.path.parent.chmod(0o500)
    with pytest.raises(DataDirectoryError, match="has no permission for"):
        directory.prepare()


def test_the_path_is_absolute(monkeypatch: pytest.MonkeyPatch, directory: DataDirectory) -> None:
    monkeypatch.chdir(directory.path.parent)
    assert DataDirectory(".pgmq-gateway").path == Path.cwd() / ".pgmq-gateway"


def test_the_secret_stays_the_same_and_private(directory: DataDirectory) -> None:
    assert directory.read_secrets() is None
    made = directory.secrets()
    assert directory.secrets() == directory.read_secrets() == made
    assert mode(directory.secret_file) == 0o600
    assert len(made.jwt_secret) == 64
    assert made.jwt_secret not in repr(made)


def test_concurrent_processes_get_the_same_secret(directory: DataDirectory) -> None:
    children = [run_child(SECRET, directory) for _ in range(6)]
    for child in children:
        assert child.stdin
        child.stdin.close()
        child.stdin = None
    answers = {child.communicate()[0] for child in children}
    assert answers == {directory.secrets().jwt_secret + "\n"}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"jwt_secret": "short"}', "null"])
def test_an_invalid_secret_is_refused(directory: DataDirectory, content: str) -> None:
    directory.secrets()
    directory.secret_file.write_text(content)
    with pytest.raises(DataDirectoryError, match=r"secret\.json is invalid: restore a backup of it, or delete it"):
        directory.secrets()


def test_a_secret_readable_by_others_gets_mode_0600(directory: DataDirectory) -> None:
    directory.secrets()
    directory.secret_file.chmod(0o644)
    directory.secrets()
    assert mode(directory.secret_file) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_another_user_is_refused(directory: DataDirectory) -> None:
    directory.secrets()
    os.chown(directory.secret_file, 65534, 65534)
    with pytest.raises(DataDirectoryError, match="belongs to user id 65534"):
        directory.secrets()


def test_a_link_in_place_of_the_secret_is_refused(directory: DataDirectory) -> None:
    directory.prepare()
    directory.secret_file.symlink_to("/etc/passwd")
    with pytest.raises(DataDirectoryError):
        directory.secrets()


def test_a_second_hold_names_the_holder(directory: DataDirectory) -> None:
    child = run_child(HOLD, directory)
    with child:
        wanted = rf'^\.pgmq-gateway is in use by "serve" \(pid {child.pid}, http://127\.0\.0\.1:3000\): stop it'
        with pytest.raises(DataDirectoryHeld, match=wanted), directory.hold("install"):
            pass
        assert directory.holder() == Holder(child.pid, "serve", "http://127.0.0.1:3000")
    assert directory.holder() is None


def test_a_killed_holder_leaves_the_lock_free(directory: DataDirectory) -> None:
    with run_child(HOLD, directory) as child:
        child.send_signal(signal.SIGKILL)
    assert json.loads(directory.lock.read_text())["purpose"] == "serve"
    assert directory.holder() is None
    with directory.hold("install"):
        assert directory.holder() == Holder(os.getpid(), "install", None)


def test_the_lock_names_its_holder_and_time(directory: DataDirectory) -> None:
    with directory.hold("serve") as hold:
        before = json.loads(directory.lock.read_text())
        hold.announce("http://[::1]:3000")
        after = json.loads(directory.lock.read_text())
    assert before == {"pid": os.getpid(), "purpose": "serve", "since": before["since"], "url": None, "dashboard": None}
    assert after == {**before, "url": "http://[::1]:3000"}
    assert directory.lock.read_text() == ""


def test_a_child_does_not_inherit_the_lock(directory: DataDirectory) -> None:
    with directory.hold("serve"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert directory.holder() is None
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("note", [b"", *(b'{"pid": %d, "purpose": "", "url": null}' % pid for pid in (0, -1, -2))])
def test_a_lock_without_a_process_is_another_process(directory: DataDirectory, note: bytes) -> None:
    directory.prepare()
    directory.lock.write_bytes(note)
    with open(directory.lock, "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert str(directory.holder()) == "another process"


def test_reading_the_holder_does_not_prevent_a_hold(directory: DataDirectory) -> None:
    directory.prepare()
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            directory.holder()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(200):
            with directory.hold("install"):
                pass
    finally:
        enough.set()
        thread.join()


def test_a_missing_directory_has_no_holder(directory: DataDirectory) -> None:
    assert directory.holder() is None
    assert not directory.path.exists()
