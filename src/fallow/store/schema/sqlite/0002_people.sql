-- Accounts become people: sign-in, rights, shares; and jobs whose input grows while they run.

-- scopes: what the account may do when it signs in by itself (a key carries its own). password: argon2id, encoded.
-- share: how much of the fleet it gets while others want it too, as a weight. used: seconds of slots it has had lately,
-- fading, as it was at used_at. submit_right: all applications, only the granted ones, or none.
ALTER TABLE account ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN email TEXT;
ALTER TABLE account ADD COLUMN email_confirmed_at INTEGER;
ALTER TABLE account ADD COLUMN password TEXT;
ALTER TABLE account ADD COLUMN share REAL NOT NULL DEFAULT 1 CHECK (share > 0);
ALTER TABLE account ADD COLUMN used REAL NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN submit_right TEXT NOT NULL DEFAULT 'all'
    CHECK (submit_right = 'all' OR submit_right = 'granted' OR submit_right = 'none');
ALTER TABLE account ADD COLUMN disabled_at INTEGER;
CREATE UNIQUE INDEX account_email ON account (email) WHERE email IS NOT NULL;

-- One account's share of the jobs with something to hand out, however many others have.
CREATE INDEX job_leasable_account ON job (account_id, priority DESC, job_key) WHERE leasable = 1;

-- Who an account is at an identity provider (OpenID Connect).
CREATE TABLE identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES account,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

-- An application (a model's name, an image's repository) that an account with submit_right 'granted' may submit for.
CREATE TABLE application_grant (
    account_id TEXT NOT NULL REFERENCES account,
    application TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, application)
) STRICT, WITHOUT ROWID;

-- A browser that is signed in. session_id: SHA-256 of the cookie. key_id: the key it signed in with, if it was a key.
CREATE TABLE session (
    session_id TEXT PRIMARY KEY CHECK (length(session_id) = 64),
    account_id TEXT NOT NULL REFERENCES account,
    key_id TEXT REFERENCES api_key,
    csrf_secret TEXT NOT NULL,
    agent TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_account ON session (account_id);
CREATE INDEX session_expires ON session (expires_at);

-- Sign-ins that went wrong, by what was tried ("email x@y", "address 192.0.2.1"); and until when it must wait.
CREATE TABLE signin_failure (
    name TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    at INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL
) STRICT;

-- A job whose input grows (a feed). idle: everything that has come is planned. closed_at: no more will come.
CREATE TABLE feed (
    job_key INTEGER PRIMARY KEY REFERENCES job,
    parts INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    fed_at INTEGER NOT NULL,
    closed_at INTEGER
) STRICT;
ALTER TABLE job ADD COLUMN feed_idle INTEGER NOT NULL DEFAULT 0 CHECK (feed_idle IN (0, 1));

-- What was fed, in order. start: where the part begins in the whole input.
CREATE TABLE feed_part (
    job_key INTEGER NOT NULL REFERENCES job,
    number INTEGER NOT NULL CHECK (number >= 0),
    artifact_key TEXT NOT NULL,
    start INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
    PRIMARY KEY (job_key, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX feed_part_start ON feed_part (job_key, start);
