"""
`flodgatt-load`: many readers of a streaming server, and what they notice.

It knows nothing of the server that it tests but Mastodon's streaming API, so it tests others, too.
"""
