"""What a program with redis-py's asyncio client does every day, in the protocol version that it is told."""

import asyncio

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

import tested_server

protocol = int(tested_server.ARGUMENTS[0])


# What fails is not tried again, which would only take time.
ONCE = {"retry": Retry(NoBackoff(), 0)}


def connect(**options):
    options = {"password": tested_server.PASSWORD, "db": 3, **options}
    return redis.Redis(host=tested_server.HOST, port=tested_server.PORT, protocol=protocol, **options)


async def refused(kind, awaitable, words):
    """What a call is refused with."""
    try:
        answer = await awaitable
    except kind as error:
        assert words in str(error), error
    else:
        raise SystemExit(f"{words}: not refused, but {answer!r}")


async def everyday(client):
    await refused(redis.AuthenticationError, connect(password="wrong", **ONCE).ping(), "invalid")
    assert await client.set("name", "Alice", ex=100) is True
    assert await client.get("name") == b"Alice"
    # As many connections at one time as there are calls.
    counted = await asyncio.gather(*(client.incr("counter") for _ in range(50)))
    assert sorted(counted) == list(range(1, 51)), counted
    assert {key async for key in client.scan_iter("*")} == {b"name", b"counter"}

    async with client.pipeline(transaction=False) as pipeline:
        for number in range(1000):
            pipeline.set(f"p:{number}", number)
        assert await pipeline.execute() == [True] * 1000

    async with client.pipeline(transaction=True) as pipeline:
        await pipeline.watch("counter")
        pipeline.multi()
        pipeline.incr("counter").get("counter")
        assert await pipeline.execute() == [51, b"51"]

    lock = client.lock("lock", timeout=100)
    assert await lock.acquire(blocking=False) is True
    assert await client.lock("lock", timeout=100).acquire(blocking=False) is False
    await refused(redis.ResponseError, lock.release(), "unknown command 'EVALSHA'")


async def types_of(listener, count):
    return [(await listener.get_message(timeout=30))["type"] for _ in range(count)]


async def main():
    client = connect()
    await everyday(client)

    listener = client.pubsub()
    await listener.subscribe("news")
    assert await types_of(listener, 1) == ["subscribe"]
    assert await client.publish("news", "it works") == 1
    assert (await listener.get_message(timeout=30))["data"] == b"it works"

    # A call that is under way, and its connection with it, ends with the server.
    tested_server.stop()
    once = connect(**ONCE)
    await refused(redis.ConnectionError, once.ping(), "Error")
    tested_server.start()
    assert await client.incr("counter") == 52
    assert await types_of(listener, 1) == ["subscribe"]
    assert await client.publish("news", "it works again") == 1
    assert (await listener.get_message(timeout=30))["data"] == b"it works again"

    await listener.aclose()
    await once.aclose()
    await client.aclose()


asyncio.run(main())
print("fine")
