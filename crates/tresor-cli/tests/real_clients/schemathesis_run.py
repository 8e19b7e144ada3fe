"""Schemathesis with lines of JSON, which it does not know by itself: each string that it makes is such a body."""

import json
import sys

import schemathesis
from schemathesis.cli import schemathesis as run


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return (value if isinstance(value, str) else json.dumps(value)).encode(errors="surrogatepass")


sys.exit(run(sys.argv[1:]))
