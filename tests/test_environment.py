"""The dotenv file is read as Node reads it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.environment import (
    UnreadableFileError,
    dotenv_layer,
    parse_dotenv,
    read_secret,
)
from flodgatt_tx.settings import Layer

# What Node's dotenv 17.4 answered to each of these.
RECORDED: list[tuple[str, dict[str, str]]] = [
    ("A=b", {"A": "b"}),
    ("A='b'", {"A": "b"}),
    ('A="b"', {"A": "b"}),
    ("A=`b`", {"A": "b"}),
    ("export A=b", {"A": "b"}),
    ("  export A = b", {"A": "b"}),
    ("A=b # c", {"A": "b"}),
    ("A=b#c", {"A": "b"}),
    ("A='b # c' # d", {"A": "b # c"}),
    ('A="b # c" # d', {"A": "b # c"}),
    ("A='b'#c", {"A": "b"}),
    ("A=", {"A": ""}),
    ("A=''", {"A": ""}),
    ("A = b ", {"A": "b"}),
    ("A=b\r\nB=c\r\n", {"A": "b", "B": "c"}),
    ('A="x\ny"\nB=c', {"A": "x\ny", "B": "c"}),
    ("A='x\ny'\nB=c", {"A": "x\ny", "B": "c"}),
    ("A=`x\ny`", {"A": "x\ny"}),
    ("A: b", {"A": "b"}),
    ("A:b", {}),
    ('A="x\\ny"', {"A": "x\ny"}),
    ("A='x\\ny'", {"A": "x\\ny"}),
    ("A=x\\ny", {"A": "x\\ny"}),
    ('A="x\\ty"', {"A": "x\\ty"}),
    ('A="a\\"b"', {"A": 'a\\"b'}),
    ("A='a\\'b'", {"A": "a\\'b"}),
    ("A=a'b", {"A": "a'b"}),
    ("A='a", {"A": "'a"}),
    ('A="a', {"A": '"a'}),
    ('A=a"b"', {"A": 'a"b"'}),
    ("A=a b c", {"A": "a b c"}),
    ("A=${B}", {"A": "${B}"}),
    ("A=$B", {"A": "$B"}),
    ("A", {}),
    ("A\nB=c", {"B": "c"}),
    ("# A=b", {}),
    ("A=b=c", {"A": "b=c"}),
    ("A= # c", {"A": ""}),
    ("A=#c", {"A": ""}),
    ("A.B=c", {"A.B": "c"}),
    ("A-B=c", {"A-B": "c"}),
    ("'A'=b", {}),
    ("A=b\nA=c", {"A": "c"}),
    ("1A=b", {"1A": "b"}),
    ('A="a\\\\b"', {"A": "a\\\\b"}),
    ("A=p\\q", {"A": "p\\q"}),
    ('A="p$q"', {"A": "p$q"}),
    ("A=b\rB=c", {"A": "b", "B": "c"}),
    ("=b\nA=c", {"A": "c"}),
    ("A==b", {"A": "=b"}),
    ('A="a" b', {"A": '"a" b'}),
    ("A B=c", {}),
    ('A="\\$x"', {"A": "\\$x"}),
    ("A=a\\\\b", {"A": "a\\\\b"}),
    ("A='a\\\\b'", {"A": "a\\\\b"}),
    ("A='it`s'", {"A": "it`s"}),
    ("A=\"say 'hi'\"", {"A": "say 'hi'"}),
    ("A='say \"hi\"'", {"A": 'say "hi"'}),
    ('A="a\\rb"', {"A": "a\rb"}),
    ("not a line\nA=b", {"A": "b"}),
    ("A=\n\nB=c", {"A": "", "B": "c"}),
    ("A=\nB=c", {"A": "", "B": "c"}),
    ("A= \nB=c", {"A": "", "B": "c"}),
    ("A= 'b' ", {"A": "b"}),
    ("A=''b", {"A": "''b"}),
    ("A='b' c", {"A": "'b' c"}),
    ("A='b' 'c'", {"A": "b' 'c"}),
    ("A=`b\nB=c", {"A": "`b", "B": "c"}),
    ("A='b\nB=c", {"A": "'b", "B": "c"}),
    ("A='b\nB='c'", {"A": "'b", "B": "c"}),
    ("A=it's\nB=don't", {"A": "it's", "B": "don't"}),
    ("A=\"b\\nc' ", {"A": "\"b\nc'"}),
    ("A=  \n  B=c", {"A": "", "B": "c"}),
    ("A =b", {"A": "b"}),
    ("export\tA=b", {"A": "b"}),
    ("exportA=b", {"exportA": "b"}),
    ("export=b", {"export": "b"}),
    ("A:\tb", {"A": "b"}),
    ("A:  'b # c'", {"A": "b # c"}),
    ("A= b#'c'", {"A": "b"}),
    ("A='b'#'c'", {"A": "b"}),
    ("A=\xa0b", {"A": "b"}),
    ("Ä=b", {}),
    ("A=b;c", {"A": "b;c"}),
    ('A="#b"', {"A": "#b"}),
    ("A='b#\nB=c'", {"A": "b#\nB=c"}),
    ("A=b\\#c", {"A": "b\\"}),
    ('A="\n"', {"A": "\n"}),
    ('A="b"x"c"', {"A": 'b"x"c'}),
    ("A=' b '", {"A": " b "}),
    ("A=` b\\n`", {"A": " b\\n"}),
    ("export A\nB=c", {"B": "c"}),
    ("A=\nexport B=c", {"A": "", "B": "c"}),
    ("A=#\nB=c", {"A": "", "B": "c"}),
    ("x A=b", {}),
    ("#A=b\nB=c", {"B": "c"}),
    ("A:= b", {}),
    ("A : b", {}),
    ('A="a\\\\nb"', {"A": "a\\\nb"}),
    ('A="', {"A": '"'}),
    ("A='", {"A": "'"}),
    ("A=\"x'", {"A": "\"x'"}),
    ("A=b '#' c", {"A": "b '"}),
]


class ParseTests(SynchronousTestCase):
    """The grammar of the file."""

    def test_recorded(self) -> None:
        """Every text means what it means to Node's dotenv."""
        for text, expected in RECORDED:
            self.assertEqual(expected, parse_dotenv(text), repr(text))

    def test_file(self) -> None:
        """A whole file, as administrators have it."""
        text = """
            # Federation
            LOCAL_DOMAIN=example.com   # not changeable
            DB_PASS="it's #1"
            export REDIS_HOST = redis

            SECRET_KEY_BASE=abc==
        """
        expected = {
            "LOCAL_DOMAIN": "example.com",
            "DB_PASS": "it's #1",
            "REDIS_HOST": "redis",
            "SECRET_KEY_BASE": "abc==",
        }
        self.assertEqual(expected, parse_dotenv(text))


class FileTests(SynchronousTestCase):
    """Which file is read, and what is said if that does not work."""

    def setUp(self) -> None:
        """Make a directory with both usual files."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.write(".env", b"PORT=1")
        self.write(".env.production", b"PORT=2")

    def write(self, name: str, content: bytes) -> Path:
        """Write a file into the directory."""
        path = self.directory / name
        path.write_bytes(content)
        return path

    def refused(self, name: str) -> str:
        """Say how the file of this name is refused."""
        return str(self.assertRaises(UnreadableFileError, dotenv_layer, [], self.directory, name))

    def test_chosen_by_node_env(self) -> None:
        """Production has its file, every other environment the other."""
        table = [
            ({}, ".env", "1"),
            ({"NODE_ENV": "production"}, ".env.production", "2"),
            ({"NODE_ENV": "test"}, ".env", "1"),
            ({"NODE_ENV": ""}, ".env", "1"),
        ]
        for values, origin, port in table:
            layer = dotenv_layer([Layer("environment", values)], self.directory)
            self.assertEqual((origin, {"PORT": port}), (layer.origin, layer.values), repr(values))

    def test_chosen_by_name(self) -> None:
        """A file that is named is read instead."""
        path = self.write("other", b"PORT=3")
        for name in ("other", str(path.absolute())):
            layer = dotenv_layer([], self.directory, name)
            self.assertEqual((name, {"PORT": "3"}), (layer.origin, layer.values))

    def test_node_env_is_left_out(self) -> None:
        """NODE_ENV cannot come from the file that it chooses."""
        self.write(".env", b"NODE_ENV=production\nPORT=4")
        self.assertEqual({"PORT": "4"}, dotenv_layer([], self.directory).values)

    def test_missing(self) -> None:
        """A usual file may be missing, a named one may not."""
        self.assertEqual({}, dotenv_layer([], self.directory / "empty").values)
        self.assertEqual(
            f"--env-file: cannot read {self.directory}/none: No such file or directory",
            self.refused("none"),
        )

    def test_unreadable(self) -> None:
        """A usual file that is there must be readable."""
        self.directory.joinpath(".env").unlink()
        self.directory.joinpath(".env").mkdir()
        error = self.assertRaises(UnreadableFileError, dotenv_layer, [], self.directory)
        self.assertEqual(f".env: cannot read {self.directory}/.env: Is a directory", str(error))

    def test_encoding(self) -> None:
        """A byte order mark is skipped, and what is not UTF-8 harms its own value only."""
        self.write(".env", b"\xef\xbb\xbfPORT=5\r\nDB_PASS=\xff\r\n")
        expected = {"PORT": "5", "DB_PASS": "\ufffd"}
        self.assertEqual(expected, dotenv_layer([], self.directory).values)

    def test_secret(self) -> None:
        """Of a secret's file one line break at the end does not count."""
        table = [(b"s", "s"), (b"s\n", "s"), (b"s\r\n", "s"), (b" s \n\n", " s \n"), (b"", "")]
        for content, expected in table:
            self.assertEqual(expected, read_secret(self.write("s", content), "x"), repr(content))

    def test_bad_secret(self) -> None:
        """The option is named, and neither the file nor its content."""
        table = [
            (self.directory / "none", "No such file or directory"),
            (self.write("bad", b"geheim\xff"), "not a text in UTF-8"),
        ]
        for path, reason in table:
            error = self.assertRaises(UnreadableFileError, read_secret, path, "db-pass-file")
            self.assertEqual(f"--db-pass-file: cannot read that file: {reason}", str(error))
