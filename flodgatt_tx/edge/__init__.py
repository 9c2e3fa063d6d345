"""
One serving process: everything that touches Twisted, Redis, PostgreSQL and sockets.

Imports run inwards only: from here to the core, never back.
"""
