-- The people of the demonstration. Who follows whom is in people.py, in Rails' place: a streaming
-- server never reads that. The ids end in the order of arrival, so that channels are easy to read.

BEGIN;

INSERT INTO accounts (id, username, domain, display_name, suspended_at) VALUES
    (110000000000000001, 'alice',   NULL, 'Alice', NULL),
    (110000000000000002, 'bob',     NULL, 'Bob the Moderator', NULL),
    (110000000000000003, 'chiyo',   NULL, '千代', NULL),
    (110000000000000004, 'dagny',   NULL, 'Dagný', NULL),
    (110000000000000005, 'farid',   NULL, 'فريد', NULL),
    (110000000000000006, 'gauri',   NULL, 'गौरी', NULL),
    (110000000000000007, 'ines',    NULL, 'Inês', NULL),
    (110000000000000008, 'mallory', NULL, 'Mallory', now() AT TIME ZONE 'UTC'),
    (110000000000000009, 'oskar',   NULL, 'Oskar', NULL),
    (110000000000000010, 'juergen', 'xn--bcher-kva.example', 'Jürgen', NULL),
    (110000000000000011, 'lucia',   'social.example', 'Lucía', NULL),
    (110000000000000012, 'nils',    'masto.example', 'Nils', NULL),
    (110000000000000013, 'trader',  'spam.example', 'Best Offers', NULL),
    (110000000000000014, 'yuki',    'pixel.example', '雪', NULL);

INSERT INTO user_roles (id, name, position, permissions) VALUES
    (-99, '', -1, 65536), (1, 'Moderator', 10, 1049884), (3, 'Owner', 1000, 1);

-- Everybody local has a user whose id is that of the account, less the large number in front.
INSERT INTO users (id, account_id, role_id, email, disabled, chosen_languages, confirmed_at,
                   current_sign_in_at)
SELECT id - 110000000000000000, id,
       CASE username WHEN 'bob' THEN 1 WHEN 'ines' THEN 3 END,
       username || '@demo.example',
       username = 'oskar',
       CASE username WHEN 'chiyo' THEN '{ja,en}'::varchar[] WHEN 'dagny' THEN '{is,de,en}' END,
       now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
FROM accounts WHERE domain IS NULL;

INSERT INTO oauth_access_tokens (token, resource_owner_id, scopes, revoked_at, expires_in,
                                 created_at)
SELECT token, owner, scopes, revoked_at, expires_in, now() AT TIME ZONE 'UTC' - interval '1 day'
FROM (VALUES
    ('demo-alice', 1, 'read write follow push', NULL::timestamp, NULL::integer),
    ('demo-bob', 2, 'read', NULL, NULL),
    ('demo-chiyo', 3, 'read', NULL, NULL),
    ('demo-dagny', 4, 'read', NULL, NULL),
    ('demo-farid', 5, 'read', NULL, NULL),
    ('demo-gauri', 6, 'read', NULL, NULL),
    ('demo-ines', 7, 'read', NULL, NULL),
    -- Half of what reading is.
    ('demo-alice-statuses', 1, 'read:statuses', NULL, NULL),
    ('demo-alice-notifications', 1, 'read:notifications', NULL, NULL),
    -- Good for one day more.
    ('demo-alice-today', 1, 'read', NULL, 172800),
    -- What is refused, each for a reason of its own.
    ('demo-alice-write', 1, 'write follow', NULL, NULL),
    ('demo-alice-expired', 1, 'read', NULL, 3600),
    ('demo-alice-revoked', 1, 'read', now() AT TIME ZONE 'UTC', NULL),
    ('demo-application', NULL, 'read', NULL, NULL),
    ('demo-mallory', 8, 'read', NULL, NULL),
    ('demo-oskar', 9, 'read', NULL, NULL)
) AS given (token, owner, scopes, revoked_at, expires_in);

INSERT INTO lists (id, account_id, title) VALUES
    (1, 110000000000000001, 'Far away'), (2, 110000000000000006, 'मित्र');

INSERT INTO blocks (account_id, target_account_id) VALUES
    (110000000000000001, 110000000000000013),   -- alice does not see trader
    (110000000000000012, 110000000000000006);   -- nils is not seen by gauri

INSERT INTO mutes (account_id, target_account_id, expires_at) VALUES
    (110000000000000002, 110000000000000011, NULL),
    -- Over since yesterday: chiyo sees nils again.
    (110000000000000003, 110000000000000012, now() AT TIME ZONE 'UTC' - interval '1 day');

INSERT INTO account_domain_blocks (account_id, domain) VALUES
    (110000000000000004, 'xn--bcher-kva.example'), (110000000000000005, 'spam.example');

INSERT INTO custom_filters (id, account_id, phrase, context, action, expires_at) VALUES
    (1, 110000000000000001, 'Football', '{home,public}', 0, NULL),
    (2, 110000000000000006, 'Spoilers', '{public}', 1, NULL),
    (3, 110000000000000007, 'Spiders', '{home,public}', 2, NULL),
    (4, 110000000000000007, 'Last year', '{public}', 1, '2020-01-01');
INSERT INTO custom_filter_keywords (custom_filter_id, keyword, whole_word) VALUES
    (1, 'football', true), (1, 'Fußball', true), (1, 'サッカー', false),
    (2, 'spoiler', false), (2, 'समापन', true),
    (3, 'spider', false), (3, 'aranha', true),
    (4, 'the', true);

-- A feed of the live kind that everybody may see, said explicitly.
INSERT INTO settings (var, value) VALUES ('local_live_feed_access', E'--- public\n');

SELECT setval(name, 100)
FROM unnest('{users_id_seq,user_roles_id_seq,lists_id_seq,custom_filters_id_seq}'::text[]) AS name;

COMMIT;
