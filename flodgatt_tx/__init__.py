"""
A streaming server for Mastodon.

Modules directly in this package are pure: values in, values out. They import the standard
library, each other and a few pure libraries, never Twisted, sockets, clocks or the environment.
"""
