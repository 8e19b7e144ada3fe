"""A real server for the tests: the program that TRESOR_PROGRAM names, on a free port."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

PROGRAM = os.environ.get("TRESOR_PROGRAM")

# How long a server may take to get ready, in steps of a twentieth of a second.
STEPS = 1200


class Server:
    """A running `tresor serve`."""

    def __init__(self, *arguments: str) -> None:
        self._directory = tempfile.TemporaryDirectory()
        ready = pathlib.Path(self._directory.name, "ready.json")
        self._log = open(pathlib.Path(self._directory.name, "log"), "w+", encoding="utf-8")
        command = [PROGRAM, "serve", "--port", "0", "--resp-port", "off", "--line-port", "0"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRESOR_")}
        self._process = subprocess.Popen(
            [*command, "--ready-file", str(ready), *arguments],
            env=environment,
            stdout=self._log,
            stderr=self._log,
        )
        self.port = self._wait_for_port(ready)

    def _wait_for_port(self, ready: pathlib.Path) -> int:
        for _ in range(STEPS):
            try:
                self._process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                pass
            try:
                return json.loads(ready.read_text(encoding="utf-8"))["line"]
            except (OSError, ValueError):
                pass
        self._log.seek(0)
        log = self._log.read()
        self.stop()
        raise AssertionError(f"the server did not get ready:\n{log}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
        self._directory.cleanup()


@unittest.skipUnless(PROGRAM, "TRESOR_PROGRAM does not name the tresor program")
class ServerTest(unittest.TestCase):
    """A test with a server of its own."""

    arguments = ()

    def setUp(self) -> None:
        self.server = Server(*self.arguments)
        self.addCleanup(self.server.stop)
