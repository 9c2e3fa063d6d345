-- The tables of a Mastodon database (4.5 and later) that a streaming server reads, with the
-- columns it reads or that Mastodon will not do without. Names, types, nullability and indexes are
-- Mastodon's. Every timestamp is UTC; every account id is a snowflake beyond 2^53.

BEGIN;

CREATE TABLE accounts (
    id                bigint PRIMARY KEY,
    username          varchar NOT NULL DEFAULT '',
    domain            varchar,                      -- of a remote account, in ASCII; NULL: local
    display_name      varchar NOT NULL DEFAULT '',
    suspended_at      timestamp,
    suspension_origin integer,
    created_at        timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at        timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE UNIQUE INDEX index_accounts_on_username_and_domain_lower
    ON accounts (lower(username), coalesce(lower(domain), ''));

CREATE TABLE user_roles (
    id          bigserial PRIMARY KEY,              -- -99 is everyone's
    name        varchar NOT NULL DEFAULT '',
    color       varchar NOT NULL DEFAULT '',
    position    integer NOT NULL DEFAULT 0,
    permissions bigint NOT NULL DEFAULT 0,          -- bit 0: everything; bit 20: sees all feeds
    highlighted boolean NOT NULL DEFAULT false,
    created_at  timestamp(6) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at  timestamp(6) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE users (
    id                 bigserial PRIMARY KEY,
    account_id         bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    role_id            bigint REFERENCES user_roles ON DELETE SET NULL,
    email              varchar NOT NULL DEFAULT '',
    disabled           boolean NOT NULL DEFAULT false,
    approved           boolean NOT NULL DEFAULT true,
    confirmed_at       timestamp,
    current_sign_in_at timestamp,
    chosen_languages   varchar[],                   -- NULL: every language
    created_at         timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at         timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX index_users_on_account_id ON users (account_id);
CREATE UNIQUE INDEX index_users_on_email ON users (email);
CREATE INDEX index_users_on_role_id ON users (role_id) WHERE role_id IS NOT NULL;

CREATE TABLE oauth_access_tokens (
    id                bigserial PRIMARY KEY,
    token             varchar NOT NULL,
    refresh_token     varchar,
    scopes            varchar,
    expires_in        integer,                      -- seconds after created_at; NULL: never
    revoked_at        timestamp,
    created_at        timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    application_id    bigint,
    resource_owner_id bigint REFERENCES users ON DELETE CASCADE,  -- NULL: an application's own
    last_used_at      timestamp,
    last_used_ip      inet
);
CREATE UNIQUE INDEX index_oauth_access_tokens_on_token ON oauth_access_tokens (token);
CREATE UNIQUE INDEX index_oauth_access_tokens_on_refresh_token
    ON oauth_access_tokens (refresh_token text_pattern_ops) WHERE refresh_token IS NOT NULL;
CREATE INDEX index_oauth_access_tokens_on_resource_owner_id
    ON oauth_access_tokens (resource_owner_id) WHERE resource_owner_id IS NOT NULL;

CREATE TABLE lists (
    id             bigserial PRIMARY KEY,
    account_id     bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    title          varchar NOT NULL DEFAULT '',
    replies_policy integer NOT NULL DEFAULT 0,
    exclusive      boolean NOT NULL DEFAULT false,
    created_at     timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at     timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX index_lists_on_account_id ON lists (account_id);

CREATE TABLE blocks (
    id                bigserial PRIMARY KEY,
    account_id        bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    target_account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    uri               varchar,
    created_at        timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at        timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE UNIQUE INDEX index_blocks_on_account_id_and_target_account_id
    ON blocks (account_id, target_account_id);
CREATE INDEX index_blocks_on_target_account_id ON blocks (target_account_id);

CREATE TABLE mutes (
    id                 bigserial PRIMARY KEY,
    account_id         bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    target_account_id  bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    hide_notifications boolean NOT NULL DEFAULT true,
    expires_at         timestamp,                   -- NULL: until taken back
    created_at         timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at         timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE UNIQUE INDEX index_mutes_on_account_id_and_target_account_id
    ON mutes (account_id, target_account_id);
CREATE INDEX index_mutes_on_target_account_id ON mutes (target_account_id);

CREATE TABLE account_domain_blocks (
    id         bigserial PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    domain     varchar NOT NULL,
    created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE UNIQUE INDEX index_account_domain_blocks_on_account_id_and_domain
    ON account_domain_blocks (account_id, domain);

CREATE TABLE custom_filters (
    id         bigserial PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    phrase     text NOT NULL DEFAULT '',            -- what the filter is called
    context    varchar[] NOT NULL DEFAULT '{}',
    action     integer NOT NULL DEFAULT 0,          -- 0 warn, 1 hide, 2 blur
    expires_at timestamp,
    created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX index_custom_filters_on_account_id ON custom_filters (account_id);

CREATE TABLE custom_filter_keywords (
    id               bigserial PRIMARY KEY,
    custom_filter_id bigint NOT NULL REFERENCES custom_filters ON DELETE CASCADE,
    keyword          text NOT NULL DEFAULT '',
    whole_word       boolean NOT NULL DEFAULT true,
    created_at       timestamp(6) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at       timestamp(6) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX index_custom_filter_keywords_on_custom_filter_id
    ON custom_filter_keywords (custom_filter_id);

CREATE TABLE custom_filter_statuses (
    id               bigserial PRIMARY KEY,
    custom_filter_id bigint NOT NULL REFERENCES custom_filters ON DELETE CASCADE,
    status_id        bigint NOT NULL,
    created_at       timestamp(6) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    updated_at       timestamp(6) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE INDEX index_custom_filter_statuses_on_custom_filter_id
    ON custom_filter_statuses (custom_filter_id);
CREATE UNIQUE INDEX index_custom_filter_statuses_on_status_id_and_custom_filter_id
    ON custom_filter_statuses (status_id, custom_filter_id);

CREATE TABLE settings (
    id         bigserial PRIMARY KEY,
    var        varchar NOT NULL,
    value      text,                                -- YAML
    created_at timestamp,
    updated_at timestamp
);
CREATE UNIQUE INDEX index_settings_on_var ON settings (var);

COMMIT;
