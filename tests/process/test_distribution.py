"""The wheels and the sdists: what they contain, and that a gateway installed from the wheels serves."""

import re
import site
import subprocess
import tomllib
import venv
from pathlib import Path
from zipfile import ZipFile

import httpx
import psutil
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.conftest import missing
from tests.server import SECRET, call
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has pip and what pyproject.toml builds with."""
    python = environment(tmp_path_factory.mktemp("builder"), with_pip=True)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    options = ("--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "10")
    done = subprocess.run(
        [python, "-m", "pip", "install", *options, *wanted], capture_output=True, text=True, check=False
    )
    if done.returncode:
        missing(", ".join(wanted), done.stderr.strip().splitlines()[-1])
    return python


@pytest.fixture(scope="module")
def built(builder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist and the wheel, built from the working tree."""
    folder = tmp_path_factory.mktemp("dist")
    build(builder, ROOT, folder, "sdist", "wheel")
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def named(builder: Path, built: tuple[Path, Path]) -> tuple[Path, Path]:
    """The sdist and the wheel of what users install, beside those of the server."""
    folder = built[1].parent
    build(builder, ROOT / "packaging" / "pgmq-gateway", folder, "sdist", "wheel")
    (sdist,), (wheel,) = folder.glob("pgmq_gateway-[0-9]*.tar.gz"), folder.glob("pgmq_gateway-[0-9]*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(builder: Path, named: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script of an environment into which both wheels were installed."""
    python = environment(tmp_path_factory.mktemp("installed"), with_pip=False)
    options = ("--quiet", "--disable-pip-version-check", "--python", str(python))
    index = ("--no-index", "--find-links", str(named[1].parent), "--no-deps")
    wanted = ("pgmq-gateway-server", "pgmq-gateway")
    subprocess.run([builder, "-m", "pip", *options, "install", *index, *wanted], check=True)
    # The dependencies are those of the tests. A .pth file does not follow others, so an editable install stays unseen.
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return python.with_name("pgmq-gateway")


def environment(folder: Path, *, with_pip: bool) -> Path:
    """The Python of a new virtual environment."""
    venv.create(folder, symlinks=True, with_pip=with_pip)
    return folder / "bin" / "python"


def build(python: Path, source: Path, target: Path, *kinds: str) -> None:
    options = [option for kind in kinds for option in ("--target", kind)]
    command = [str(python), "-P", "-m", "hatchling", "build", "--directory", str(target), *options]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


def content(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_one_package_with_its_sql_and_its_static_files(built: tuple[Path, Path]) -> None:
    names = set(content(built[1]))
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"pgmq_gateway", next(top for top in tops if top.endswith(".dist-info"))}
    sources = [path for path in (ROOT / "app").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT / "app")) for path in sources} <= names
    assert {f"pgmq_gateway/{path.relative_to(ROOT)}" for path in (ROOT / "sql").rglob("*.sql")} <= names


def test_the_sdist_makes_the_same_wheel(builder: Path, built: tuple[Path, Path], tmp_path: Path) -> None:
    # Before Python 3.11.4, tarfile has no filters for what it extracts.
    subprocess.run(["tar", "-xzf", built[0], "-C", tmp_path], check=True)
    (source,) = tmp_path.iterdir()
    build(builder, source, tmp_path / "dist", "wheel")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert content(wheel) == content(built[1])


def test_the_named_wheel_has_only_the_command_and_the_same_version_of_the_server(
    builder: Path, named: tuple[Path, Path], installed: Path, tmp_path: Path
) -> None:
    assert {Path(name).parent.suffix for name in content(named[1])} == {".dist-info"}
    code = "from importlib.metadata import *; print(version('pgmq-gateway'), requires('pgmq-gateway'), "
    code += "entry_points(group='console_scripts', name='pgmq-gateway')['pgmq-gateway'].value)"
    done = subprocess.run([installed.with_name("python"), "-c", code], capture_output=True, text=True, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version, command = project["version"], project["scripts"]["pgmq-gateway"]
    wanted = [f"pgmq-gateway-server[dashboard,embedded]=={version}"]
    assert done.stdout == f"{version} {wanted} {command}\n"
    # Without the repository around it.
    subprocess.run(["tar", "-xzf", named[0], "-C", tmp_path], check=True)
    (source,) = tmp_path.iterdir()
    build(builder, source, tmp_path / "dist", "wheel")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert content(wheel) == content(named[1])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_wheel_serves_from_a_folder_with_packages_of_the_same_names(
    installed: Path, workers: str, tmp_path: Path, directory: DataDirectory, database: str
) -> None:
    folder = tmp_path / "project"
    for name in ("app", "http", "pgmq_gateway"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('{name} of the current folder')")
    env = {"PGRST_DB_URI": socket_uri(directory, "authenticator", database), "PGRST_JWT_SECRET": SECRET}
    arguments = ("--workers", workers, "--dashboard-port", "0")
    gateway = server.start(
        tmp_path / "log", *arguments, env={**env, "PGRST_DB_POOL": "2"}, cwd=folder, program=installed
    )
    try:
        dashboard = re.search(r"dashboard: (.+)\)", gateway.output)
        assert dashboard is not None
        until(lambda: shows_sign_in(dashboard[1]))
        assert call(gateway, "pop", queue_name="missing").json()["code"] == "42P01"
        children = psutil.Process(gateway.process.pid).children()
        assert {Path(child.cmdline()[0]).parent for child in children} == {installed.parent}
    finally:
        assert gateway.stop() == 0
    assert gateway.log.read_text() == ""


def shows_sign_in(dashboard: str) -> bool:
    """True if the dashboard serves; its process starts after the gateway serves."""
    try:
        return httpx.get(f"{dashboard}/sign-in", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def test_the_wheel_is_what_runs(installed: Path) -> None:
    code = "import pgmq_gateway; print(pgmq_gateway.__file__)"
    done = subprocess.run([installed.with_name("python"), "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout).is_relative_to(installed.parents[1])
