"""A walk through a page: its blocks run in one shell, against a gateway with an empty database."""

import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from pgmq_gateway.embedded.cluster import binary
from tests import nodejs, server
from tests.nodejs import NODE
from tests.pages import SUFFIXES, Block
from tests.server import PROGRAM, TIMEOUT_SECONDS
from tests.waiting import until

PROGRAMS = {"python": "python", "js": "node", "ts": "node"}
# Runs the files that it is sent, and replies after each. Blocks and their children do not get its two descriptors.
LOOP = """
set -euo pipefail
while IFS= read -r file <&{requests}; do
    . "$file" >"$file.out" 2>&1 {requests}<&- {replies}>&-
    echo done >&{replies}
done
"""
# Older releases of Node.js do not run TypeScript.
NODE_SCRIPT = """#!/bin/sh
case "$1" in
*.ts)
    {node} {strip} "$1" || exit
    made=${{1%.ts}}.mjs
    shift
    exec {node} --import {no_websocket} "$made" "$@"
    ;;
*) exec {node} --import {no_websocket} "$@" ;;
esac
"""


@dataclass
class Ran:
    """A block that has run, or still runs in the background, and the file that gets its output."""

    block: Block
    commands: str
    file: Path

    @property
    def output(self) -> str:
        return _trimmed(self.file.read_text())


class Walk:
    """The shell that runs the blocks of a page in a folder, with the files of the walk itself in another, empty one."""

    def __init__(
        self, folder: Path, scratch: Path, owner_uri: str, replaced: Mapping[str, str], reloaded: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._scratch = scratch
        self._psql = shlex.join([str(psql()), "-X", "-v", "ON_ERROR_STOP=1", owner_uri, "-f"])
        self._replaced = replaced
        self._reloaded = reloaded
        self._ran: list[Ran] = []
        self._shell()

    def run(self, block: Block) -> None:
        """Do what a reader does with a block."""
        if PROGRAMS.get(block.language) == "node":
            nodejs.command(packages=["@supabase/supabase-js", "typescript"])
        code = block.code
        for documented, actual in self._replaced.items():
            code = code.replace(documented, actual)
        if "output" in block.comments or "output of" in block.comments:
            self._expect(block, code)
        elif name := block.comments.get("file"):
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
        else:
            self._execute(block, code)

    def close(self) -> None:
        """Stop the shell and all that runs in the background."""
        os.close(self._requests)
        os.close(self._replies)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(TIMEOUT_SECONDS)
        until(lambda: not _exists(self._process.pid))

    def _shell(self) -> None:
        self._replies, reply_end = os.pipe()
        request_end, self._requests = os.pipe()
        self._process = subprocess.Popen(
            ["bash", "-c", LOOP.format(requests=request_end, replies=reply_end)],
            cwd=self._folder,
            env=server.environment({"PATH": self._path()}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(reply_end, request_end),
            start_new_session=True,
        )
        os.close(reply_end)
        os.close(request_end)

    def _path(self) -> str:
        """PATH: `node` and `python` of the walk, the gateway's programs, and those of the system."""
        own = self._scratch / "bin"
        own.mkdir()
        # A link from elsewhere would not find the packages of the environment.
        (own / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        (own / "python").chmod(0o755)
        if shutil.which("node"):
            script = NODE_SCRIPT.format(
                node=shutil.which("node"), strip=NODE / "strip.mjs", no_websocket=(NODE / "no-websocket.mjs").as_uri()
            )
            (own / "node").write_text(script)
            (own / "node").chmod(0o755)
        for folder in (self._folder, self._scratch):
            (folder / "node_modules").symlink_to(NODE / "node_modules")
        return os.pathsep.join([str(own), str(PROGRAM.parent), os.environ["PATH"]])

    def _execute(self, block: Block, code: str) -> None:
        commands = self._commands(block, code)
        if "background" in block.comments:
            # A single command becomes the job itself, so that `kill %1` reaches it.
            commands = f"{commands.rstrip()} &\n" if "\n" not in commands.strip() else f"{{\n{commands}\n}} &\n"
        file = self._scratch / f"{block.line}.block"
        file.write_text(commands)
        ran = Ran(block, commands, file.with_name(f"{file.name}.out"))
        os.write(self._requests, f"{file}\n".encode())
        if not self._replied():
            pytest.fail(f"{block} failed, or takes too long:\n{commands}\n{ran.output}", pytrace=False)
        self._ran.append(ran)
        if "reload schema" in code:
            self._reloaded()

    def _commands(self, block: Block, code: str) -> str:
        """Shell commands that run a block."""
        if block.language == "sh":
            return code
        path = self._scratch / f"{block.line}.{SUFFIXES[block.language]}"
        path.write_text(code)
        return f"{self._psql} {path}" if block.language == "sql" else f"{PROGRAMS[block.language]} {path}"

    def _replied(self) -> bool:
        """Wait until a file has run. False if the shell has exited, because a command failed, or it takes too long."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self._replies, selectors.EVENT_READ)
            # Background processes can keep the pipe open after the shell's exit.
            while time.monotonic() < deadline:
                if selector.select(0.05):
                    return bool(os.read(self._replies, 100))
                if self._process.poll() is not None:
                    return False
        return False

    def _expect(self, block: Block, expected: str) -> None:
        text = block.comments.get("output of", "")
        ran = next(ran for ran in reversed(self._ran) if text in ran.commands)
        pattern = _pattern(expected)
        if "background" in ran.block.comments:
            with suppress(AssertionError):
                until(lambda: pattern.fullmatch(f"{ran.output}\n"))
        if not pattern.fullmatch(f"{ran.output}\n"):
            pytest.fail(f"{block} is not the output of {ran.block}:\n{ran.output}", pytrace=False)


def psql() -> Path:
    """Debian's psql, or the one of the embedded Postgres."""
    return Path(shutil.which("psql") or binary("psql"))


def _pattern(expected: str) -> re.Pattern[str]:
    """A pattern of an expected output: … is any text, a line with it alone any number of lines."""
    lines = [
        "(?:.*?\n)?" if line == "…" else ".*?".join(map(re.escape, line.split("…"))) + "\n"
        for line in _trimmed(expected).split("\n")
    ]
    return re.compile("".join(lines), re.DOTALL)


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _exists(process_group: int) -> bool:
    try:
        os.killpg(process_group, 0)
    except ProcessLookupError:
        return False
    return True
