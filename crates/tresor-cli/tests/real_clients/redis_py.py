"""What a program with redis-py does every day, in the protocol version that it is told."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import tested_server

protocol = int(tested_server.ARGUMENTS[0])


# What fails is not tried again, which would only take time.
ONCE = {"retry": Retry(NoBackoff(), 0)}


def connect(**options):
    options = {"password": tested_server.PASSWORD, "db": 3, "client_name": "everyday", **options}
    return redis.Redis(host=tested_server.HOST, port=tested_server.PORT, protocol=protocol, **options)


def refused(kind, call, words):
    """What a call is refused with."""
    try:
        answer = call()
    except kind as error:
        assert words in str(error), error
    else:
        raise SystemExit(f"{words}: not refused, but {answer!r}")


client = connect()


def everyday():
    assert client.ping() is True
    assert client.set("name", "Alice") is True
    assert client.get("name") == b"Alice"
    assert client.get("absent") is None
    assert client.set("name", "Bob", nx=True) is None
    assert client.delete("name", "absent") == 1

    binary = bytes(range(256)) * 1000
    assert client.set(b"\x00\xff", binary, ex=100) is True
    assert client.get(b"\x00\xff") == binary
    assert 0 < client.ttl(b"\x00\xff") <= 100

    assert client.incr("counter") == 1
    assert client.incrby("counter", 41) == 42
    assert client.incrbyfloat("fraction", 1.5) == 1.5
    assert client.mset({"a": 1, "b": 2}) is True
    assert client.mget("a", "absent", "b") == [b"1", None, b"2"]
    assert set(client.scan_iter("?")) == {b"a", b"b"}
    assert client.exists("a", "b", "absent") == 2
    assert client.getex("a", ex=50) == b"1"
    assert client.setbit("bits", 7, 1) == 0
    assert client.bitcount("bits") == 1
    refused(redis.ResponseError, lambda: client.incr("name of nothing", "x"), "not an integer")


def databases():
    other = connect(db=0)
    assert other.get("counter") is None
    assert other.set("counter", "of database 0") is True
    assert client.get("counter") == b"42"
    assert other.move("counter", 3) is False
    assert other.delete("counter") == 1


def passwords():
    for wrong, words in [("wrong", "invalid"), (None, "Authentication required")]:
        # What HELLO says when nobody has authenticated is longer, and names the way out.
        words = "already authenticated" if wrong is None and protocol == 3 else words
        refused(redis.AuthenticationError, connect(password=wrong, **ONCE).ping, words)
    assert connect(username="default").ping() is True


def pipelines():
    pipeline = client.pipeline(transaction=False)
    for number in range(5000):
        pipeline.set(f"p:{number}", number)
        pipeline.get(f"p:{number}")
    replies = pipeline.execute()
    assert replies[0::2] == [True] * 5000
    assert replies[1::2] == [str(number).encode() for number in range(5000)]
    mixed = client.pipeline(transaction=False).set("word", "x").incr("word").get("word")
    answers = mixed.execute(raise_on_error=False)
    assert answers[0] is True and isinstance(answers[1], redis.ResponseError) and answers[2] == b"x", answers


def transactions():
    assert client.pipeline(transaction=True).set("x", 1).incr("x").get("x").execute() == [True, 2, b"2"]
    with client.pipeline() as pipeline:
        pipeline.watch("x")
        assert pipeline.get("x") == b"2"
        client.set("x", "of somebody else")
        pipeline.multi()
        pipeline.set("x", "of mine")
        refused(redis.WatchError, pipeline.execute, "Watched variable changed")
    assert client.get("x") == b"of somebody else"
    assert client.transaction(lambda pipeline: pipeline.multi() or pipeline.get("x"), "x") == [
        b"of somebody else"
    ]


def locks():
    lock = client.lock("lock", timeout=100)
    assert lock.acquire(blocking=False) is True
    assert lock.locked() and lock.owned()
    assert client.lock("lock", timeout=100).acquire(blocking=False) is False
    # Release and extension are scripts of redis-py's, and there are no scripts.
    refused(redis.ResponseError, lock.release, "unknown command 'EVALSHA'")
    assert client.execute_command("DELIFEQ", "lock", client.get("lock")) == 1
    assert client.lock("lock", timeout=100).acquire(blocking=False) is True


listener = client.pubsub()


def messages():
    listener.subscribe("news")
    listener.psubscribe("n*")
    confirmed = [listener.get_message(timeout=30)["type"] for _ in range(2)]
    assert confirmed == ["subscribe", "psubscribe"], confirmed
    assert client.publish("news", "it works") == 2
    heard = [listener.get_message(timeout=30) for _ in range(2)]
    assert [(message["type"], message["data"]) for message in heard] == [
        ("message", b"it works"),
        ("pmessage", b"it works"),
    ], heard
    assert client.pubsub_numsub("news") == [(b"news", 1)]
    listener.ping()
    assert listener.get_message(timeout=30)["type"] == "pong"


def introspection():
    assert client.info("server")["redis_version"].startswith("7.2")
    assert client.info()["db3"]["keys"] > 5000
    assert client.client_getname() in ("everyday", b"everyday")
    assert any(each["name"] == "everyday" and each["db"] == "3" for each in client.client_list())
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.command()["get"]["arity"] == 2
    assert client.memory_usage("counter") > 0
    assert client.object("encoding", "counter") in (b"int", "int")
    seconds, microseconds = client.time()
    assert seconds > 0 and 0 <= microseconds < 1_000_000


def a_restart():
    tested_server.stop()
    refused(redis.ConnectionError, connect(**ONCE).ping, "refused")
    tested_server.start()
    # The same client, in the same database, authenticated once more.
    assert client.get("counter") == b"42"
    assert client.incr("counter") == 43
    # The first look finds the connection gone; the subscriptions go along to the next one.
    confirmed = [listener.get_message(timeout=30)["type"] for _ in range(2)]
    assert sorted(confirmed) == ["psubscribe", "subscribe"], confirmed
    assert client.publish("news", "it works again") == 2
    assert listener.get_message(timeout=30)["data"] == b"it works again"
    listener.close()


everyday()
databases()
passwords()
pipelines()
transactions()
locks()
messages()
introspection()
a_restart()
client.config_set("slowlog-log-slower-than", 0)
client.get("name")
assert client.slowlog_get(1)[0]["command"] == b"GET name"
client.config_set("slowlog-log-slower-than", 10000)
assert client.slowlog_reset() is True
assert client.latency_latest() == []
with client.monitor() as monitor:
    client.get("two words")
    seen = monitor.next_command()
    assert (seen["db"], seen["command"]) == (3, "GET two words"), seen
assert client.flushall() is True
assert client.dbsize() == 0
print("fine")
