"""Django with its own Redis backend as cache, as store of sessions and as what limits rates."""

import asyncio
from urllib.parse import quote

import django
import redis
from django.conf import settings

import tested_server

LOCATION = f"redis://:{quote(tested_server.PASSWORD)}@{tested_server.HOST}:{tested_server.PORT}/3"

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": LOCATION,
            "KEY_PREFIX": "site",
            "TIMEOUT": 300,
        }
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="of no importance",
)
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import RequestFactory  # noqa: E402
from django.views.decorators.cache import cache_page  # noqa: E402


def entries():
    cache.set("greeting", {"text": "hello", "numbers": [1, 2.5, None]})
    assert cache.get("greeting") == {"text": "hello", "numbers": [1, 2.5, None]}
    assert cache.get("absent", "default") == "default"
    assert cache.add("greeting", "other") is False
    assert cache.add("other", "x", timeout=None) is True
    assert cache.get_or_set("computed", lambda: 42) == 42
    assert cache.incr("computed") == 43
    assert cache.decr("computed", 3) == 40
    assert cache.touch("greeting", 1000) is True and cache.touch("absent") is False
    assert cache.set_many({f"many:{number}": number for number in range(100)}) == []
    assert cache.get_many([f"many:{number}" for number in range(101)]) == {
        f"many:{number}": number for number in range(100)
    }
    cache.delete_many([f"many:{number}" for number in range(100)])
    assert "many:7" not in cache and "greeting" in cache
    cache.set("greeting", "hi", version=2)
    assert cache.get("greeting", version=2) == "hi" and cache.get("greeting") != "hi"
    # A value that has expired before it came is none.
    cache.set("other", "x", timeout=0)
    assert cache.get("other") is None
    try:
        cache.incr("absent")
    except ValueError:
        pass
    else:
        raise SystemExit("a number that is not there was increased")


async def asynchronously():
    await cache.aset("later", "x")
    assert await cache.aget("later") == "x"
    assert await cache.adelete("later") is True


def pages():
    calls = []

    @cache_page(60)
    def page(request):
        calls.append(request.path)
        return HttpResponse("a page")

    for _ in range(3):
        assert page(RequestFactory().get("/page")).content == b"a page"
    assert calls == ["/page"], calls


def limit_of_rate(client):
    """Whether one more request of a client is allowed: five a window."""
    cache.add(f"rate:{client}", 0, timeout=100)
    return cache.incr(f"rate:{client}") <= 5


entries()
asyncio.run(asynchronously())
pages()
assert [limit_of_rate("a") for _ in range(7)] == [True] * 5 + [False] * 2

session = SessionStore()
session["user"] = 7
session.set_expiry(1000)
session.save()
key = session.session_key

plain = redis.Redis.from_url(LOCATION)
assert b"site:1:greeting" in set(plain.scan_iter("site:*"))
assert 900 < plain.ttl("site:1:greeting") <= 1000

tested_server.stop()
try:
    # Without the retries of the client, which would only take time.
    redis.Redis.from_url(LOCATION, retry=None).ping()
except redis.ConnectionError:
    pass
else:
    raise SystemExit("a server that was stopped answers")
tested_server.start()

assert SessionStore(session_key=key)["user"] == 7
assert cache.get("greeting")["text"] == "hello"
assert limit_of_rate("a") is False
session.delete()
assert SessionStore(session_key=key).load() == {}
cache.clear()
assert cache.get("greeting") is None
print("fine")
