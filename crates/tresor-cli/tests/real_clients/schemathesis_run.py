"""Schemathesis with lines of JSON, which it does not know by itself: each string that it makes is such a body.

A request that waits for changes waits a second at most: nobody makes any meanwhile.
"""

import json
import sys

import schemathesis
from schemathesis.cli import schemathesis as run


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return (value if isinstance(value, str) else json.dumps(value)).encode(errors="surrogatepass")


@schemathesis.hook
def before_call(context, case, kwargs):
    wait = (case.query or {}).get("wait")
    if str(wait).isdecimal() and 1 < int(wait) <= 60:
        case.query["wait"] = 1


sys.exit(run(sys.argv[1:]))
