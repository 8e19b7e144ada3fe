"""The one error of this package: a code to decide by, a message to read."""


class TresorError(Exception):
    """What the server answered, or what became of the connection.

    `code` is the protocol's: NotFound, UnknownTransaction, Deadlock, LockTimeout, Invalid and so on.
    Three are this side's own: Unavailable (nobody can be reached), UnknownOutcome (a line was sent but
    its answer never came, so it may or may not have been done) and Protocol (what came back is not the
    line protocol).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
