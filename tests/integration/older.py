"""
The tables of other releases of Mastodon, made from those that the demonstration has.

Only what a streaming server could notice differs: names, nullability, and what there is at all.
"""

from __future__ import annotations

# From each release to the one before it; a database goes all the way down to the one it is to be.
_STEPS = {
    "4.7": "ALTER TABLE accounts ADD requested_deletion_at timestamp(6)",
    "4.6": "ALTER TABLE accounts DROP requested_deletion_at",
    # Settings could be a user's; rows of blocks and filters could be nobody's.
    "4.3": """
        ALTER TABLE account_domain_blocks
            ALTER account_id DROP NOT NULL, ALTER domain DROP NOT NULL;
        ALTER TABLE custom_filters ALTER account_id DROP NOT NULL;
        ALTER TABLE settings ADD thing_type varchar, ADD thing_id bigint;
        DROP INDEX index_settings_on_var;
        CREATE UNIQUE INDEX index_settings_on_thing_type_and_thing_id_and_var
            ON settings (thing_type, thing_id, var)
    """,
    # Devices had keys of their own, for messages that only they could read.
    "4.2": """
        CREATE TABLE devices (
            id              bigserial PRIMARY KEY,
            access_token_id bigint REFERENCES oauth_access_tokens ON DELETE CASCADE,
            account_id      bigint REFERENCES accounts ON DELETE CASCADE,
            device_id       varchar NOT NULL DEFAULT '',
            name            varchar NOT NULL DEFAULT '',
            created_at      timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
            updated_at      timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
        );
        CREATE INDEX index_devices_on_access_token_id ON devices (access_token_id)
    """,
    # There were no roles, and a filter was one phrase.
    "3.5": """
        ALTER TABLE users DROP role_id;
        DROP TABLE user_roles, custom_filter_keywords, custom_filter_statuses;
        ALTER TABLE custom_filters DROP action,
            ADD irreversible boolean NOT NULL DEFAULT false,
            ADD whole_word boolean NOT NULL DEFAULT true
    """,
    # Mutes were for ever.
    "2.9": "DROP TABLE devices; ALTER TABLE mutes DROP expires_at",
}
RELEASES = tuple(_STEPS)


def reshape(release: str) -> str:
    """Write the SQL that makes the demonstration's tables those of a *release*."""
    return ";".join(_STEPS[each] for each in RELEASES[: RELEASES.index(release) + 1])
