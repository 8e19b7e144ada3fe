"""The server that a client program is tested with: where it is, and how it is stopped and started again.

The test does that when it is asked on standard output, and answers on standard input once it is done. So no
program here waits by time.
"""

import sys

*ARGUMENTS, HOST, PORT, PASSWORD = sys.argv[1:]
PORT = int(PORT)


def stop():
    """Stops the server; it refuses connections from here on."""
    _ask("stop")


def start():
    """Starts it again, on the same port and with the same data."""
    _ask("start")


def _ask(what):
    print(what, flush=True)
    answer = sys.stdin.readline()
    assert answer == "done\n", f"{what}: {answer!r}"
