"""
What administrators see on a listener of their own: a live page, and a console to watch streams.

The server itself does not know of it; the door is `flodgatt_tx.edge.tap`.
"""
