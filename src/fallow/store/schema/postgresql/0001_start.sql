-- The first schema; the same tables as on SQLite. Differs because types, identities and storage options do.

CREATE TABLE account (
    account_id text PRIMARY KEY,
    name text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE api_key (
    key_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES account,
    name text NOT NULL,
    secret_sha256 text NOT NULL CHECK (length(secret_sha256) = 64),
    scopes text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint
);

CREATE TABLE setting (
    name text PRIMARY KEY,
    value text NOT NULL
);

-- The row that every transaction of a job's workers updates: small, and its indexed columns hardly ever change.
-- leasable, need: computed from the rest, so that the two partial indexes below hold only jobs with something to do.
CREATE TABLE job (
    job_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL UNIQUE,
    account_id text NOT NULL REFERENCES account,
    state text NOT NULL CHECK (state IN
        ('planning', 'running', 'paused', 'merging', 'completed', 'failed', 'cancelled', 'expired')),
    priority bigint NOT NULL,
    items_total bigint NOT NULL DEFAULT 0 CHECK (items_total >= 0),
    items_done bigint NOT NULL DEFAULT 0 CHECK (items_done >= 0),
    items_error bigint NOT NULL DEFAULT 0 CHECK (items_error >= 0),
    items_failed bigint NOT NULL DEFAULT 0 CHECK (items_failed >= 0),
    chunks_planned bigint NOT NULL DEFAULT 0 CHECK (chunks_planned >= 0),
    chunks_open bigint NOT NULL DEFAULT 0 CHECK (chunks_open >= 0),
    chunks_verifying bigint NOT NULL DEFAULT 0 CHECK (chunks_verifying >= 0),
    chunks_done bigint NOT NULL DEFAULT 0 CHECK (chunks_done >= 0),
    chunks_failed bigint NOT NULL DEFAULT 0 CHECK (chunks_failed >= 0),
    chunks_cancelled bigint NOT NULL DEFAULT 0 CHECK (chunks_cancelled >= 0),
    chunks_split bigint NOT NULL DEFAULT 0 CHECK (chunks_split >= 0),
    attempts_queued bigint NOT NULL DEFAULT 0 CHECK (attempts_queued >= 0),
    attempts_leased bigint NOT NULL DEFAULT 0 CHECK (attempts_leased >= 0),
    attempts_over bigint NOT NULL DEFAULT 0 CHECK (attempts_over >= 0),
    attempts_errored bigint NOT NULL DEFAULT 0 CHECK (attempts_errored >= 0),
    attempts_lost bigint NOT NULL DEFAULT 0 CHECK (attempts_lost >= 0),
    attempts_invalid bigint NOT NULL DEFAULT 0 CHECK (attempts_invalid >= 0),
    plan_position bigint NOT NULL DEFAULT 0,
    plan_next_item bigint NOT NULL DEFAULT 0,
    plan_done bigint NOT NULL DEFAULT 0 CHECK (plan_done IN (0, 1)),
    created_at bigint NOT NULL,
    started_at bigint,
    finished_at bigint,
    claim_owner text NOT NULL DEFAULT '',
    claim_until bigint NOT NULL DEFAULT 0,
    leasable bigint GENERATED ALWAYS AS (CASE
        WHEN state IN ('planning', 'running') AND attempts_queued + chunks_planned > 0 THEN 1 ELSE 0 END) STORED,
    need text GENERATED ALWAYS AS (CASE
        WHEN state IN ('planning', 'running') AND plan_done = 0 THEN 'plan'
        WHEN state = 'running' AND chunks_planned + chunks_open + chunks_verifying = 0 THEN 'finish'
        WHEN state = 'merging' THEN 'merge'
        WHEN state IN ('completed', 'failed', 'cancelled', 'expired')
             AND chunks_planned + chunks_open + chunks_verifying > 0 THEN 'sweep'
        ELSE '' END) STORED
) WITH (fillfactor = 40);
CREATE INDEX job_leasable ON job (priority DESC, job_key) WHERE leasable = 1;
CREATE INDEX job_need ON job (need, job_key) WHERE need <> '';
CREATE INDEX job_account ON job (account_id, job_key);

-- What is large and hardly ever read or written: kept out of the row above.
CREATE TABLE job_text (
    job_key bigint PRIMARY KEY REFERENCES job,
    spec text NOT NULL,
    plan_memory text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    output text NOT NULL DEFAULT ''
);

-- attempts_after: attempts up to this one belong to an earlier run. verify_*: who looks at the answers, until when.
CREATE TABLE chunk (
    job_key bigint NOT NULL,
    chunk_id bigint NOT NULL CHECK (chunk_id >= 0),
    state text NOT NULL CHECK (state IN
        ('planned', 'open', 'verifying', 'done', 'failed', 'cancelled', 'split')),
    version bigint NOT NULL DEFAULT 0,
    item_start bigint NOT NULL CHECK (item_start >= 0),
    item_count bigint NOT NULL CHECK (item_count > 0),
    extent_start bigint NOT NULL,
    extent_length bigint NOT NULL,
    extent_skip bigint NOT NULL DEFAULT 0,
    extent_sha256 text NOT NULL DEFAULT '',
    answers_wanted bigint NOT NULL CHECK (answers_wanted > 0),
    prior_errors bigint NOT NULL DEFAULT 0,
    attempts_after bigint NOT NULL DEFAULT 0,
    parent_id bigint,
    canonical_id bigint,
    fault_code text,
    fault_message text,
    verify_owner text NOT NULL DEFAULT '',
    verify_until bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (job_key, chunk_id),
    CHECK (state <> 'done' OR canonical_id IS NOT NULL),
    CHECK ((fault_code IS NULL) = (fault_message IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX chunk_planned ON chunk (job_key, item_start) WHERE state = 'planned';
CREATE INDEX chunk_verifying ON chunk (verify_until) WHERE state = 'verifying';
CREATE INDEX chunk_result ON chunk (job_key, item_start) WHERE state IN ('done', 'failed');
CREATE INDEX chunk_undone ON chunk (job_key, chunk_id) WHERE state IN ('failed', 'cancelled');

-- late: the answer came when the chunk was over. envelope: the signed receipt; last, since it is long and rarely read.
CREATE TABLE attempt (
    attempt_id bigint PRIMARY KEY,
    job_key bigint NOT NULL,
    chunk_id bigint NOT NULL,
    state text NOT NULL CHECK (state IN
        ('queued', 'leased', 'reported', 'valid', 'invalid', 'errored', 'lost', 'dropped', 'aborted')),
    worker_id text,
    queued_at bigint NOT NULL,
    leased_at bigint,
    over_at bigint,
    deadline bigint,
    failure_class text CHECK (failure_class IN ('submitter', 'worker', 'limits', 'aborted', 'ours')),
    code text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    items_done bigint NOT NULL DEFAULT 0,
    item_errors bigint NOT NULL DEFAULT 0,
    bad_item bigint,
    artifact_key text,
    artifact_sha256 text,
    artifact_size_bytes bigint,
    artifact_offset bigint,
    items_root text NOT NULL DEFAULT '',
    checked bigint NOT NULL DEFAULT 0 CHECK (checked IN (0, 1)),
    late bigint NOT NULL DEFAULT 0 CHECK (late IN (0, 1)),
    exit_code bigint,
    log_size_bytes bigint NOT NULL DEFAULT 0,
    cpu_seconds double precision NOT NULL DEFAULT 0,
    memory_bytes_max bigint NOT NULL DEFAULT 0,
    log_tail text NOT NULL DEFAULT '',
    envelope bytea,
    CHECK (state IN ('queued', 'dropped') OR worker_id IS NOT NULL),
    CHECK (state <> 'leased' OR deadline IS NOT NULL)
) WITH (fillfactor = 60);
CREATE INDEX attempt_chunk ON attempt (job_key, chunk_id);
CREATE INDEX attempt_queued ON attempt (job_key, attempt_id) WHERE state = 'queued';
CREATE INDEX attempt_leased ON attempt (worker_id) WHERE state = 'leased';
CREATE INDEX attempt_deadline ON attempt (deadline) WHERE state = 'leased';
CREATE INDEX attempt_late ON attempt (attempt_id) WHERE state = 'reported' AND late = 1;

CREATE TABLE worker (
    worker_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES account,
    name text NOT NULL,
    label text,
    public_key bytea NOT NULL,
    capability text NOT NULL,
    session text NOT NULL,
    joined_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    failures bigint NOT NULL DEFAULT 0,
    backoff_until bigint NOT NULL DEFAULT 0,
    leaving bigint NOT NULL DEFAULT 0 CHECK (leaving IN (0, 1))
);

-- Small artifacts, several to a row: those of one job that came in one report. They are gone with their job.
CREATE TABLE pack (
    pack_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_key bigint NOT NULL,
    data bytea NOT NULL
);
CREATE INDEX pack_job ON pack (job_key);

-- One row for each move, never changed. What it is about: the attempt if there is one, else the chunk, else the job.
CREATE TABLE story (
    story_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    job_key bigint NOT NULL,
    chunk_id bigint,
    attempt_id bigint,
    from_state text NOT NULL,
    to_state text NOT NULL,
    event text NOT NULL,
    cause text NOT NULL,
    by_whom text NOT NULL
);
CREATE INDEX story_chunk ON story (job_key, chunk_id);
CREATE INDEX story_trouble ON story (job_key, story_id)
    WHERE chunk_id IS NOT NULL AND (to_state = 'errored' OR to_state = 'lost' OR to_state = 'invalid' OR to_state = 'failed'
       OR to_state = 'split');

CREATE SEQUENCE attempt_number;
