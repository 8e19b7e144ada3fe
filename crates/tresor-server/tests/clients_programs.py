"""What a program with redis-py does every day, in the protocol version that it is told."""

import sys

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])
client = redis.Redis(port=port, protocol=protocol, client_name="everyday")

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
assert client.mset({"a": 1, "b": 2}) is True
assert client.mget("a", "absent", "b") == [b"1", None, b"2"]
assert set(client.scan_iter("?")) == {b"a", b"b"}
assert client.exists("a", "b", "absent") == 2

pipeline = client.pipeline(transaction=False)
for number in range(5000):
    pipeline.set(f"p:{number}", number)
    pipeline.get(f"p:{number}")
replies = pipeline.execute()
assert replies[0::2] == [True] * 5000
assert replies[1::2] == [str(number).encode() for number in range(5000)]

try:
    client.incr("p:no", "x")
    raise SystemExit("an increment by x was accepted")
except redis.ResponseError as error:
    assert "not an integer" in str(error), error

listener = client.pubsub()
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
listener.close()

assert client.info("server")["redis_version"].startswith("7.2")
assert client.client_getname() in ("everyday", b"everyday")
assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
assert client.flushall() is True
assert client.dbsize() == 0
print("fine")
