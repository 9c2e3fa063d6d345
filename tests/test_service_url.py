"""URLs of services are taken apart, and never quoted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.service_url import BadUrlError, parse, parse_place, parse_places


class ParseTests(SynchronousTestCase):
    """The parts of a URL."""

    def test_parts(self) -> None:
        """Parts are percent-decoded; the last @ ends the password; a bare % stands for itself."""
        table = [
            ("redis://h", ("redis", "", "", "h", None, "")),
            ("REDIS://u:p@h:1/2", ("redis", "u", "p", "h", 1, "/2")),
            ("x://u%40v:p%40x%2F@[::1]:5/d%20b", ("x", "u@v", "p@x/", "::1", 5, "/d b")),
            ("x://u:p@ss:w@h/", ("x", "u", "p@ss:w", "h", None, "/")),
            ("x://u:100%@h:", ("x", "u", "100%", "h", None, "")),
            ("x://%2Frun%2Fpg/db", ("x", "", "", "/run/pg", None, "/db")),
            ("x:///db", ("x", "", "", "", None, "/db")),
            ("socket:/run/pg", ("socket", "", "", "", None, "/run/pg")),
        ]
        for text, expected in table:
            url = parse(text)
            parts = (url.scheme, url.user, url.password, url.host, url.port, url.path)
            self.assertEqual(expected, parts, text)

    def test_parameters(self) -> None:
        """Of parameters with the same name the last counts; + is a space, empty is a value."""
        url = parse("x://h/?a=1&a=2&b=c+d&e=")
        self.assertEqual({"a": "2", "b": "c d", "e": ""}, dict(url.parameters))

    def test_mistakes(self) -> None:
        """An error names the part that is wrong, and quotes nothing of the URL."""
        table = [
            ("s3cret", "scheme"),
            ("x://u:s3#cret@h/d", "%23"),
            ("x://u:s3/cret@h/d", "%2F"),
            ("x://u:5?s3=cret@h/d", "%3F"),
            ("x://u:s3cret@h:99999/d", "port"),
            ("x://u:p@h:s3cret/d", "port"),
            ("x://u:p@h:0/d", "port"),
            ("x://u:p@::1/d", "port"),
            ("x://u:p@[s3cret]/d", "host"),
            ("x://s3cret%ff:p@h/d", "user"),
            ("x://u:s3cret%ff@h/d", "password"),
            ("x://u:p@h/s3cret%ff", "path"),
        ]
        for text, part in table:
            error = self.assertRaises(BadUrlError, parse, text)
            self.assertIn(part, str(error), text)
            self.assertNotIn("s3", str(error))
            self.assertNotIn("cret", str(error))

    def test_shown(self) -> None:
        """What logs may show has no password, no lone user and no values of parameters."""
        table = [
            ("x://u:p@h:1/d?a=b&c=d", "x://u:***@h:1/d?a=***&c=***"),
            ("x://p@[::1]/d", "x://***@[::1]/d"),
            ("x://:p@h", "x://:***@h"),
            ("x:///d", "x:///d"),
        ]
        for text, expected in table:
            self.assertEqual(expected, parse(text).shown, text)
        self.assertNotIn("'p'", repr(parse("x://u:p@h?password=p")))


class PlaceTests(SynchronousTestCase):
    """Hosts with ports."""

    def test_places(self) -> None:
        """The port may be missing, IPv6 addresses have brackets, empty entries do not count."""
        self.assertEqual(("::1", None), parse_place("[::1]"))
        self.assertEqual([("a", 1), ("::1", 2), ("b", None)], parse_places("a:1, [::1]:2,,b"))
        self.assertRaises(BadUrlError, parse_places, "a,b:c")
