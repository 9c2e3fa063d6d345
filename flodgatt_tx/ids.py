"""
Numbers that name rows: Mastodon's ids are PostgreSQL bigints, written as decimal strings in JSON.
"""

LARGEST = 2**63 - 1


def parse_id(value: object) -> int | None:
    """
    Read an id as clients and payloads write it, a decimal string or an integer.

    Only ASCII digits count: `int` would take other scripts' digits, signs and underscores too,
    and what PostgreSQL cannot take would fail the query of everybody in the same batch.

    :return: None if *value* cannot be the id of anything.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if type(value) is int and 0 <= value <= LARGEST:
        return value
    return None
