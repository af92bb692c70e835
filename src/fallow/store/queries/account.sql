-- add_account
-- An account, unless it is there.
INSERT INTO account (account_id, name, created_at) VALUES (:account_id, :name, :now)
    ON CONFLICT (account_id) DO NOTHING;

-- add_key
-- An API key; only the digest of its secret is kept.
INSERT INTO api_key (key_id, account_id, name, secret_sha256, scopes, created_at, expires_at, revoked_at)
VALUES (:key_id, :account_id, :name, :secret_sha256, :scopes, :created_at, :expires_at, :revoked_at);

-- key
-- One API key.
SELECT key_id, account_id, name, secret_sha256, scopes, created_at, expires_at, revoked_at
  FROM api_key WHERE key_id = :key_id;

-- keys
-- The API keys of one account, oldest first.
SELECT key_id, account_id, name, secret_sha256, scopes, created_at, expires_at, revoked_at
  FROM api_key WHERE account_id = :account_id ORDER BY created_at, key_id;

-- all_keys
-- The API keys of everybody, oldest first.
SELECT key_id, account_id, name, secret_sha256, scopes, created_at, expires_at, revoked_at
  FROM api_key ORDER BY created_at, key_id;

-- revoke_key
-- Makes a key worthless; one that is revoked keeps its first moment.
UPDATE api_key SET revoked_at = :now WHERE key_id = :key_id AND revoked_at IS NULL;

-- setting
-- One setting of the installation.
SELECT value FROM setting WHERE name = :name;

-- add_setting
-- Writes one setting, unless it is there.
INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING;

-- set_setting
-- Writes one setting over what was there.
INSERT INTO setting (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value;
