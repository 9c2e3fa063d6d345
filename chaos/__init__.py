"""
What becomes of readers when everything around the server breaks: real servers, real faults.

Black box: the server is the one that an administrator starts. All that is known of it comes from
its clients, its metrics, its log, and from Redis. May import anything; nothing imports it.
"""
