"""Flask with Flask-Session, whose sessions lie in the server."""

import redis
from flask import Flask, session
from flask_session import Session

import tested_server

client = redis.Redis(
    host=tested_server.HOST, port=tested_server.PORT, password=tested_server.PASSWORD, db=3
)
app = Flask(__name__)
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=client, PERMANENT_SESSION_LIFETIME=1000)
Session(app)


@app.post("/cart/<item>")
def add(item):
    session["cart"] = session.get("cart", []) + [item]
    return session["cart"]


@app.get("/cart")
def show():
    return session.get("cart", [])


@app.delete("/cart")
def forget():
    session.clear()
    return []


visitor, other = app.test_client(), app.test_client()
assert visitor.post("/cart/bread").json == ["bread"]
assert visitor.post("/cart/salt").json == ["bread", "salt"]
assert other.get("/cart").json == []

keys = list(client.scan_iter("session:*"))
assert len(keys) == 1, keys
assert 900 < client.ttl(keys[0]) <= 1000

tested_server.stop()
try:
    redis.Redis(host=tested_server.HOST, port=tested_server.PORT, retry=None).ping()
except redis.ConnectionError:
    pass
else:
    raise SystemExit("a server that was stopped answers")
tested_server.start()

assert visitor.get("/cart").json == ["bread", "salt"]
assert visitor.post("/cart/oil").json == ["bread", "salt", "oil"]
visitor.delete("/cart")
assert visitor.get("/cart").json == []
assert list(client.scan_iter("session:*")) == []
print("fine")
