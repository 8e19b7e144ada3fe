"""A client of Tresor's line protocol, on the standard library alone.

    from tresor_client import Client

    with Client() as client:
        client.put("name", "Alice")
        print(client.get("name"))
"""

from .client import Client, OpenTransaction
from .error import TresorError
from .words import quoted

__all__ = ["Client", "OpenTransaction", "TresorError", "quoted"]
