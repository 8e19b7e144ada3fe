"""The client against a real server."""

import os
import random
import unittest

from tresor_client import Client, TresorError, quoted

from .server import ServerTest


class SessionTest(ServerTest):
    def client(self, **options) -> Client:
        client = Client(port=self.server.port, **options).connect()
        self.addCleanup(client._close)
        return client

    def test_lines_and_their_answers(self) -> None:
        client = self.client()
        transaction_id = client.send_command("BEGIN")["transaction_id"]
        self.assertEqual(client.send_command(f"PUT key1 value1 {transaction_id}")["status"], "Ok")
        self.assertEqual(client.send_command(f"COMMIT {transaction_id}"), {"status": "Ok"})
        self.assertEqual(client.send_command("GET key1")["value"], "value1")
        answer = client.send_command("GET nobody")
        self.assertEqual((answer["status"], answer["code"]), ("Error", "NotFound"))
        client.disconnect()
        with self.assertRaises(TresorError) as raised:
            client.send_command("PING")
        self.assertEqual(raised.exception.code, "Unavailable")

    def test_a_session_of_two_transactions(self) -> None:
        client = self.client()
        first = client.begin()
        client.put("nameofkey", "value999", first)
        self.assertEqual(client.get("nameofkey", first), "value999")
        with self.assertRaises(TresorError) as raised:
            client.get("nameofkey")
        self.assertEqual(raised.exception.code, "Deadlock", "it would wait for its own connection")
        second = client.begin()
        self.assertEqual((first, second), (1, 2))
        client.put("house", "large", second)
        client.put("house", "small", second)
        self.assertEqual(client.rollback(second), ("house", "large"))
        entries, transactions = client.show_all()
        self.assertEqual(entries, {})
        self.assertEqual([each.transaction_id for each in transactions], [first, second])
        self.assertEqual(transactions[1].writes, {"house": "large"})
        self.assertEqual(client.delete_written(second), 1)
        self.assertEqual(client.commit_all(), 2)
        self.assertEqual(client.show_all(), ({"nameofkey": "value999"}, []))
        self.assertTrue(client.delete("nameofkey"))
        self.assertFalse(client.delete("nameofkey"))
        client.disconnect()

    def test_errors_have_codes(self) -> None:
        client = self.client()
        transaction_id = client.begin()
        with self.assertRaises(TresorError) as raised:
            client.rollback(transaction_id)
        self.assertEqual(raised.exception.code, "NothingToUndo")
        client.abort(transaction_id)
        for call in [client.commit, client.abort, client.rollback, client.delete_written]:
            with self.assertRaises(TresorError) as raised:
                call(transaction_id)
            self.assertEqual(raised.exception.code, "UnknownTransaction")
        for line in ["", "PING\nPING"]:
            with self.assertRaises(TresorError) as raised:
                client.send_command(line)
            self.assertEqual(raised.exception.code, "Invalid")
        client.ping()

    def test_any_bytes_come_back(self) -> None:
        seed = int(os.environ.get("TRESOR_SEED") or random.getrandbits(64))
        print(f"test_any_bytes_come_back: TRESOR_SEED={seed}")
        choices = random.Random(seed)
        client = self.client()
        words = [b"", b"2", b"@", b"base64:x", bytes(range(256)), b'"\\\n\r\x00', "größer\u2028".encode()]
        words += [choices.randbytes(choices.randrange(30)) for _ in range(100)]
        for word in words:
            client.put(word, word)
            came_back = client.get(word)
            self.assertEqual(came_back if isinstance(came_back, bytes) else came_back.encode(), word)
        entries, _ = client.show_all()
        keys = {key if isinstance(key, bytes) else key.encode() for key in entries}
        self.assertEqual(keys, set(words))

    def test_lines_are_sent_ahead(self) -> None:
        client = self.client()
        lines = ["BEGIN"] + [f"PUT key{number} {quoted('x' * 50)} @" for number in range(5000)] + ["COMMIT @"]
        answers = client.send_all(lines)
        self.assertEqual(len(answers), len(lines))
        self.assertEqual({answer["status"] for answer in answers}, {"Ok"})
        values = client.send_all(f"GET key{number}" for number in range(5000))
        self.assertEqual([answer["key"] for answer in values], [f"key{number}" for number in range(5000)])

    def test_databases_are_apart(self) -> None:
        with Client(port=self.server.port) as client:
            client.select(3)
            client.put("key", "value")
            client.select(0)
            self.assertIsNone(client.get("key"))

    def test_a_server_that_goes_away_is_an_error(self) -> None:
        client = self.client(timeout=30)
        self.server._process.kill()
        self.server._process.wait()
        with self.assertRaises(TresorError) as raised:
            client.ping()
        self.assertEqual(raised.exception.code, "UnknownOutcome")
        for call in [client.ping, client.connect]:
            with self.assertRaises(TresorError) as raised:
                call()
            self.assertEqual(raised.exception.code, "Unavailable")


class PasswordTest(ServerTest):
    arguments = ("--password", "hunter 2")

    def test_a_password_is_asked_for_and_given(self) -> None:
        with Client(port=self.server.port) as client:
            with self.assertRaises(TresorError) as raised:
                client.get("key")
            self.assertEqual(raised.exception.code, "Unauthorized")
        with self.assertRaises(TresorError) as raised:
            Client(port=self.server.port, password="wrong").connect()
        self.assertEqual(raised.exception.code, "Unauthorized")
        with Client(port=self.server.port, password="hunter 2") as client:
            client.ping()


if __name__ == "__main__":
    unittest.main()
