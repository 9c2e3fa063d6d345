"""
Many processes as one server: a parent that holds the sockets, and workers that serve.

A guest of the edge: only `flodgatt_tx.edge.tap` lets it in, for `--workers`.
"""
