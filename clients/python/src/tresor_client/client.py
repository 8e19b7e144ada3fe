"""A connection to a server: one line out, one JSON object back.

Answers come in the order of lines and carry no number. So a connection on which an answer did not come
is closed at once: the next answer would be that of an earlier line.
"""

import json
import socket
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from .error import TresorError
from .words import Word, decode_key, decode_value, encoded, quoted

# Lines on their way at most, in bytes, if there is more than one: so few that the sockets' buffers hold
# them, and a server that waits for its answers to be read cannot keep this side from reading them.
_BATCH_BYTES = 16 * 1024


class OpenTransaction(NamedTuple):
    """A transaction that somebody has begun and not ended."""

    transaction_id: int
    writes: Dict[Word, Any]


class Client:
    """A client of the line protocol; `connect` it, or use it in a `with` statement.

    One client runs one command at a time and is not for several threads at once. Its transactions live as
    long as its connection. `timeout` is how long to wait for a connection, and for an answer of which not
    a byte comes, in seconds; None waits for ever.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 7379,
        password: Optional[str] = None,
        timeout: Optional[float] = 60.0,
        max_answer_bytes: int = 512 << 20,
    ) -> None:
        self.host = host
        self.port = port
        self._password = password
        self._timeout = timeout
        self._max_answer_bytes = max_answer_bytes
        self._socket: Optional[socket.socket] = None
        self._answers: Any = None

    def connect(self) -> "Client":
        """Connects, gives the password if there is one, and returns this client."""
        if self._socket is not None:
            raise TresorError("Invalid", f"the client is connected to {self._address()} already")
        try:
            self._socket = socket.create_connection((self.host, self.port), self._timeout)
        except OSError as error:
            message = f"cannot connect to {self._address()}: {error}. Is the server running?"
            raise TresorError("Unavailable", message) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        if self._password is not None:
            try:
                self.authenticate(self._password)
            except TresorError:
                self._close()
                raise
        return self

    def disconnect(self) -> None:
        """Says goodbye and closes the connection; the server rolls back what is open."""
        if self._socket is None:
            return
        try:
            self._call("QUIT")
        finally:
            self._close()

    def __enter__(self) -> "Client":
        return self if self._socket is not None else self.connect()

    def __exit__(self, *_: object) -> None:
        self._close()

    # Any line

    def send_command(self, line: str) -> Dict[str, Any]:
        """Sends a line and returns its answer, an error answer as well: look at `status`.

        Keys and values that may be anything go through `quoted`.
        """
        return self.send_all([line])[0]

    def send_all(self, lines: Iterable[str]) -> List[Dict[str, Any]]:
        """Sends lines ahead of their answers and returns the answers in the same order.

        `@` stands for the id of the latest BEGIN. When this raises, some of the lines may have been done.
        """
        answers = []
        for batch in _batches([_encoded(line) for line in lines]):
            connection = self._connected()
            try:
                connection.sendall(b"".join(batch))
                answers.extend(self._receive() for _ in batch)
            except OSError as error:
                raise self._lost(str(error)) from error
            except BaseException:
                # Interrupted, or an answer that is none: what is still to come belongs to nobody.
                self._close()
                raise
        return answers

    # Entries

    def ping(self) -> None:
        """Asks the server whether it is there."""
        self._call("PING")

    def authenticate(self, password: str) -> None:
        """Gives the server's password."""
        self._call(f"AUTH {quoted(password)}")

    def select(self, database: int) -> None:
        """Chooses one of the numbered databases for the commands to come."""
        self._call(f"SELECT {int(database)}")

    def put(self, key: Word, value: Word, transaction_id: Optional[int] = None) -> None:
        """Sets a key, in a transaction or at once."""
        self._call(_line("PUT", (key, value), transaction_id))

    def get(self, key: Word, transaction_id: Optional[int] = None) -> Any:
        """The value of a key, None when it is not there.

        Raw text comes as str, other raw bytes as bytes, JSON as what it is.
        """
        answer = self.send_command(_line("GET", (key,), transaction_id))
        if answer.get("code") == "NotFound":
            return None
        return decode_value(_checked(answer)["value"])

    def delete(self, key: Word, transaction_id: Optional[int] = None) -> bool:
        """Deletes a key, in a transaction or at once, and tells whether it was there."""
        return self._call(_line("DEL", (key,), transaction_id))["deleted"] > 0

    # Transactions

    def begin(self) -> int:
        """Begins a transaction and returns its id."""
        return self._call("BEGIN")["transaction_id"]

    def delete_written(self, transaction_id: int) -> int:
        """Deletes every key that the transaction has written; tells how many."""
        return self._call(f"DEL {int(transaction_id)}")["deleted"]

    def rollback(self, transaction_id: int) -> Tuple[Word, Any]:
        """Undoes the transaction's latest write; returns its key and the value that it is back to, or None."""
        answer = self._call(f"ROLLBACK {int(transaction_id)}")
        return decode_key(answer["key"]), decode_value(answer["value"])

    def abort(self, transaction_id: int) -> None:
        """Discards the whole transaction."""
        self._call(f"ABORT {int(transaction_id)}")

    def commit(self, transaction_id: int) -> None:
        """Applies all of the transaction at once."""
        self._call(f"COMMIT {int(transaction_id)}")

    def commit_all(self) -> int:
        """Commits every transaction that this connection has open; tells how many."""
        return self._call("COMMITALL")["committed"]

    def show_all(self) -> Tuple[Dict[Word, Any], List[OpenTransaction]]:
        """The committed entries, and the open transactions of every connection."""
        answer = self._call("SHOWALL")
        transactions = [
            OpenTransaction(each["transaction_id"], _entries(each["writes"]))
            for each in answer["transactions"]
        ]
        return _entries(answer["entries"]), transactions

    # The connection

    def _call(self, line: str) -> Dict[str, Any]:
        return _checked(self.send_command(line))

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise TresorError("Unavailable", f"there is no connection to {self._address()}: connect() first")
        return self._socket

    def _receive(self) -> Dict[str, Any]:
        line = self._answers.readline(self._max_answer_bytes)
        if not line.endswith(b"\n"):
            if len(line) < self._max_answer_bytes:
                raise self._lost("the server closed the connection")
            message = f"an answer of {self._address()} is longer than {self._max_answer_bytes} bytes"
            raise TresorError("TooLarge", message)
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise _no_answer(line) from error
        if not isinstance(answer, dict):
            raise _no_answer(line)
        return answer

    def _lost(self, reason: str) -> TresorError:
        self._close()
        message = f"no answer from {self._address()}: {reason}; what was sent may or may not have been done"
        return TresorError("UnknownOutcome", message)

    def _close(self) -> None:
        if self._socket is not None:
            self._answers.close()
            self._socket.close()
            self._socket = None

    def _address(self) -> str:
        return f"{self.host}:{self.port}"


def _line(command: str, words: Iterable[Word], transaction_id: Optional[int]) -> str:
    parts = [command, *map(quoted, words)]
    if transaction_id is not None:
        parts.append(str(int(transaction_id)))
    return " ".join(parts)


def _encoded(line: str) -> bytes:
    if "\n" in line:
        raise TresorError("Invalid", "a command is one line: write a line end inside of quotes as \\n")
    if not line.strip():
        raise TresorError("Invalid", "an empty line is no command and has no answer")
    return encoded(line) + b"\n"


def _batches(lines: List[bytes]) -> Iterator[List[bytes]]:
    batch: List[bytes] = []
    size = 0
    for line in lines:
        if batch and size + len(line) > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield batch


def _checked(answer: Dict[str, Any]) -> Dict[str, Any]:
    if answer.get("status") == "Ok":
        return answer
    raise TresorError(answer.get("code", "Protocol"), answer.get("message", f"{answer!r} is no answer"))


def _entries(answered: Dict[str, Any]) -> Dict[Word, Any]:
    return {decode_key(key): decode_value(value) for key, value in answered.items()}


def _no_answer(line: bytes) -> TresorError:
    return TresorError("Protocol", f"this is not the line protocol ({line[:60]!r}); give the server's line port")
