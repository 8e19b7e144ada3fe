"""Words of a line, and the values and keys of answers: any bytes there and back.

A plain word is one that no rule of the protocol gives a second meaning: digits alone and `@` name a
transaction after DEL, and a line that ends in HTTP/1.1 looks like a web browser's. So a plain word begins
with a letter and has no slash; everything else goes between quotes.
"""

import base64
import re
from typing import Any, Union

from .error import TresorError

Word = Union[str, bytes]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*\Z")
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
_ENCODED_KEY = "base64:"


def quoted(word: Word) -> str:
    """The text or bytes as one word of a line, quoted where it has to be."""
    if isinstance(word, str):
        word = encoded(word)
    if not isinstance(word, bytes):
        raise TypeError(f"a key or a value is str or bytes, not {type(word).__name__}")
    # Bytes that are not UTF-8 become lone surrogates, which text never has.
    text = word.decode("utf-8", "surrogateescape")
    if _PLAIN.match(text):
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _ESCAPED:
        return _ESCAPED[character]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character


def encoded(text: str) -> bytes:
    """The text as UTF-8."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TresorError("Invalid", "a lone surrogate is no text: give bytes instead") from error


def decode_value(answered: Any) -> Any:
    """The value of an answer: raw text as str, other raw bytes as bytes, JSON as what it is."""
    if isinstance(answered, dict) and len(answered) == 1:
        if isinstance(answered.get("base64"), str):
            return base64.b64decode(answered["base64"], validate=True)
        if "json" in answered:
            return answered["json"]
    return answered


def decode_key(answered: str) -> Word:
    """The key of an answer: text as str, anything else as bytes."""
    if not answered.startswith(_ENCODED_KEY):
        return answered
    key = base64.b64decode(answered[len(_ENCODED_KEY) :], validate=True)
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        return key
