-- Accounts become people: sign-in, rights, shares; and jobs whose input grows. The same as on SQLite, in its types.

-- scopes: what the account may do when it signs in by itself (a key carries its own). password: argon2id, encoded.
-- share: how much of the fleet it gets while others want it too, as a weight. used: seconds of slots it has had lately,
-- fading, as it was at used_at. submit_right: all applications, only the granted ones, or none.
ALTER TABLE account ADD COLUMN scopes text NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN email text;
ALTER TABLE account ADD COLUMN email_confirmed_at bigint;
ALTER TABLE account ADD COLUMN password text;
ALTER TABLE account ADD COLUMN share double precision NOT NULL DEFAULT 1 CHECK (share > 0);
ALTER TABLE account ADD COLUMN used double precision NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN used_at bigint NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN submit_right text NOT NULL DEFAULT 'all'
    CHECK (submit_right IN ('all', 'granted', 'none'));
ALTER TABLE account ADD COLUMN disabled_at bigint;
CREATE UNIQUE INDEX account_email ON account (email) WHERE email IS NOT NULL;

-- One account's share of the jobs with something to hand out, however many others have.
CREATE INDEX job_leasable_account ON job (account_id, priority DESC, job_key) WHERE leasable = 1;

-- Who an account is at an identity provider (OpenID Connect).
CREATE TABLE identity (
    issuer text NOT NULL,
    subject text NOT NULL,
    account_id text NOT NULL REFERENCES account,
    created_at bigint NOT NULL,
    PRIMARY KEY (issuer, subject)
);

-- An application (a model's name, an image's repository) that an account with submit_right 'granted' may submit for.
CREATE TABLE application_grant (
    account_id text NOT NULL REFERENCES account,
    application text NOT NULL,
    granted_by text NOT NULL,
    granted_at bigint NOT NULL,
    PRIMARY KEY (account_id, application)
);

-- A browser that is signed in. session_id: SHA-256 of the cookie. key_id: the key it signed in with, if it was a key.
CREATE TABLE session (
    session_id text PRIMARY KEY CHECK (length(session_id) = 64),
    account_id text NOT NULL REFERENCES account,
    key_id text REFERENCES api_key,
    csrf_secret text NOT NULL,
    agent text NOT NULL,
    created_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX session_account ON session (account_id);
CREATE INDEX session_expires ON session (expires_at);

-- Sign-ins that went wrong, by what was tried ("email x@y", "address 192.0.2.1"); and until when it must wait.
CREATE TABLE signin_failure (
    name text PRIMARY KEY,
    failures bigint NOT NULL,
    at bigint NOT NULL,
    blocked_until bigint NOT NULL
);

-- A job whose input grows (a feed). idle: everything that has come is planned. closed_at: no more will come.
CREATE TABLE feed (
    job_key bigint PRIMARY KEY REFERENCES job,
    parts bigint NOT NULL DEFAULT 0,
    size_bytes bigint NOT NULL DEFAULT 0,
    fed_at bigint NOT NULL,
    closed_at bigint
);
ALTER TABLE job ADD COLUMN feed_idle bigint NOT NULL DEFAULT 0 CHECK (feed_idle IN (0, 1));

-- What was fed, in order. start: where the part begins in the whole input.
CREATE TABLE feed_part (
    job_key bigint NOT NULL REFERENCES job,
    number bigint NOT NULL CHECK (number >= 0),
    artifact_key text NOT NULL,
    start bigint NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    PRIMARY KEY (job_key, number)
);
CREATE INDEX feed_part_start ON feed_part (job_key, start);
