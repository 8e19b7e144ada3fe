"""Words and values, without a server."""

import unittest

from tresor_client import TresorError, quoted
from tresor_client.words import decode_key, decode_value


class WordsTest(unittest.TestCase):
    def test_words_with_a_second_meaning_are_quoted(self) -> None:
        for word, line in [
            ("user:1_a-b.c", "user:1_a-b.c"),
            ("", '""'),
            ("2", '"2"'),
            ("@", '"@"'),
            ("HTTP/1.1", '"HTTP/1.1"'),
            ("line\n", '"line\\n"'),
            ("größer", '"größer"'),
            (b"a\xc3b", '"a\\xc3b"'),
            ('a"\\\x7f\t', '"a\\"\\\\\\x7f\\x09"'),
        ]:
            self.assertEqual(quoted(word), line)
        with self.assertRaises(TypeError):
            quoted(30)
        for surrogate in ["\ud800", "\udc80"]:
            with self.assertRaises(TresorError):
                quoted(surrogate)

    def test_each_way_to_write_a_value_is_read(self) -> None:
        for answered, value in [
            ("text", "text"),
            ({"base64": "/wA="}, b"\xff\x00"),
            ({"json": {"base64": "x"}}, {"base64": "x"}),
            ({"a": 1}, {"a": 1}),
            (None, None),
        ]:
            self.assertEqual(decode_value(answered), value)
        self.assertEqual(decode_key("base64:/wA="), b"\xff\x00")
        self.assertEqual(decode_key("base64:YmFzZTY0OmE="), "base64:a")


if __name__ == "__main__":
    unittest.main()
