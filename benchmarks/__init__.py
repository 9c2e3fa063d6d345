"""
What the server costs, measured from outside.

    make bench                                          everything, about a quarter of an hour
    make bench BENCH='--quick'                          whether everything runs; figures are rough
    python -m benchmarks --only fan-out-ws --json F     one scenario, with all details in F
    python -m benchmarks --list                         what there is

Every scenario is measured in rounds, and in each round this server and the floor take turns. The
floor is `floor.c`, a loop that only calls `send`: what a delivery costs there is what the kernel
costs. Absolute figures move from one machine and one minute to the next; the ratio to the floor of
the same round moves less, and the median of the rounds counts.

Another server is measured in the same rounds with

    python -m benchmarks --server 'node=node /home/mastodon/live/streaming/index.js'

It gets Mastodon's environment variables: PORT, BIND, DB_*, REDIS_*, NODE_ENV, LOG_LEVEL. What else
it needs can be set with `env NAME=VALUE` in the command.

`site` is Redis and PostgreSQL with many people; `subjects` are the servers; `load` is the handle on
`load.c`, which plays the readers and Rails; `processes` says what a server spends; `scenarios` are
what is measured; `results` and `report` say what came of it. `plots` draws it, `public_filters` and
`query_plans` look closer at filtering.
"""
