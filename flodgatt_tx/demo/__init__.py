"""
A site in a box: an embedded Redis and PostgreSQL, sample people, and a publisher in Rails' place.

The server proper never imports this package; only `--demo` and the tests do.
"""
