-- The first schema. Times are microseconds since 1970 (UTC), digests lower-case hex, flags 0 or 1.
-- A move of a state goes through core/lifecycle.py; the CHECKs only repeat which states there are. Those of the busy
-- tables spell it with OR: for each row that is written SQLite would build a table of an IN list with three words or more.

CREATE TABLE account (
    account_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_key (
    key_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account,
    name TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL CHECK (length(secret_sha256) = 64),
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- The row that every transaction of a job's workers updates: small, and its indexed columns hardly ever change.
-- leasable, need: computed from the rest, so that the two partial indexes below hold only jobs with something to do.
CREATE TABLE job (
    job_key INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account,
    state TEXT NOT NULL CHECK (state IN
        ('planning', 'running', 'paused', 'merging', 'completed', 'failed', 'cancelled', 'expired')),
    priority INTEGER NOT NULL,
    items_total INTEGER NOT NULL DEFAULT 0 CHECK (items_total >= 0),
    items_done INTEGER NOT NULL DEFAULT 0 CHECK (items_done >= 0),
    items_error INTEGER NOT NULL DEFAULT 0 CHECK (items_error >= 0),
    items_failed INTEGER NOT NULL DEFAULT 0 CHECK (items_failed >= 0),
    chunks_planned INTEGER NOT NULL DEFAULT 0 CHECK (chunks_planned >= 0),
    chunks_open INTEGER NOT NULL DEFAULT 0 CHECK (chunks_open >= 0),
    chunks_verifying INTEGER NOT NULL DEFAULT 0 CHECK (chunks_verifying >= 0),
    chunks_done INTEGER NOT NULL DEFAULT 0 CHECK (chunks_done >= 0),
    chunks_failed INTEGER NOT NULL DEFAULT 0 CHECK (chunks_failed >= 0),
    chunks_cancelled INTEGER NOT NULL DEFAULT 0 CHECK (chunks_cancelled >= 0),
    chunks_split INTEGER NOT NULL DEFAULT 0 CHECK (chunks_split >= 0),
    attempts_queued INTEGER NOT NULL DEFAULT 0 CHECK (attempts_queued >= 0),
    attempts_leased INTEGER NOT NULL DEFAULT 0 CHECK (attempts_leased >= 0),
    attempts_over INTEGER NOT NULL DEFAULT 0 CHECK (attempts_over >= 0),
    attempts_errored INTEGER NOT NULL DEFAULT 0 CHECK (attempts_errored >= 0),
    attempts_lost INTEGER NOT NULL DEFAULT 0 CHECK (attempts_lost >= 0),
    attempts_invalid INTEGER NOT NULL DEFAULT 0 CHECK (attempts_invalid >= 0),
    plan_position INTEGER NOT NULL DEFAULT 0,
    plan_next_item INTEGER NOT NULL DEFAULT 0,
    plan_done INTEGER NOT NULL DEFAULT 0 CHECK (plan_done IN (0, 1)),
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    claim_owner TEXT NOT NULL DEFAULT '',
    claim_until INTEGER NOT NULL DEFAULT 0,
    leasable INTEGER GENERATED ALWAYS AS (CASE
        WHEN state IN ('planning', 'running') AND attempts_queued + chunks_planned > 0 THEN 1 ELSE 0 END) STORED,
    need TEXT GENERATED ALWAYS AS (CASE
        WHEN state IN ('planning', 'running') AND plan_done = 0 THEN 'plan'
        WHEN state = 'running' AND chunks_planned + chunks_open + chunks_verifying = 0 THEN 'finish'
        WHEN state = 'merging' THEN 'merge'
        WHEN state IN ('completed', 'failed', 'cancelled', 'expired')
             AND chunks_planned + chunks_open + chunks_verifying > 0 THEN 'sweep'
        ELSE '' END) STORED
) STRICT;
CREATE INDEX job_leasable ON job (priority DESC, job_key) WHERE leasable = 1;
CREATE INDEX job_need ON job (need, job_key) WHERE need <> '';
CREATE INDEX job_account ON job (account_id, job_key);

-- What is large and hardly ever read or written: kept out of the row above.
CREATE TABLE job_text (
    job_key INTEGER PRIMARY KEY REFERENCES job,
    spec TEXT NOT NULL,
    plan_memory TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    output TEXT NOT NULL DEFAULT ''
) STRICT;

-- attempts_after: attempts up to this one belong to an earlier run. verify_*: who looks at the answers, until when.
CREATE TABLE chunk (
    job_key INTEGER NOT NULL,
    chunk_id INTEGER NOT NULL CHECK (chunk_id >= 0),
    state TEXT NOT NULL CHECK (
        state = 'planned' OR state = 'open' OR state = 'verifying' OR state = 'done' OR state = 'failed'
        OR state = 'cancelled' OR state = 'split'),
    version INTEGER NOT NULL DEFAULT 0,
    item_start INTEGER NOT NULL CHECK (item_start >= 0),
    item_count INTEGER NOT NULL CHECK (item_count > 0),
    extent_start INTEGER NOT NULL,
    extent_length INTEGER NOT NULL,
    extent_skip INTEGER NOT NULL DEFAULT 0,
    extent_sha256 TEXT NOT NULL DEFAULT '',
    answers_wanted INTEGER NOT NULL CHECK (answers_wanted > 0),
    prior_errors INTEGER NOT NULL DEFAULT 0,
    attempts_after INTEGER NOT NULL DEFAULT 0,
    parent_id INTEGER,
    canonical_id INTEGER,
    fault_code TEXT,
    fault_message TEXT,
    verify_owner TEXT NOT NULL DEFAULT '',
    verify_until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_key, chunk_id),
    CHECK (state <> 'done' OR canonical_id IS NOT NULL),
    CHECK ((fault_code IS NULL) = (fault_message IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX chunk_planned ON chunk (job_key, item_start) WHERE state = 'planned';
CREATE INDEX chunk_verifying ON chunk (verify_until) WHERE state = 'verifying';
CREATE INDEX chunk_result ON chunk (job_key, item_start) WHERE state IN ('done', 'failed');
CREATE INDEX chunk_undone ON chunk (job_key, chunk_id) WHERE state IN ('failed', 'cancelled');

-- late: the answer came when the chunk was over. envelope: the signed receipt; last, since it is long and rarely read.
CREATE TABLE attempt (
    attempt_id INTEGER PRIMARY KEY,
    job_key INTEGER NOT NULL,
    chunk_id INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (
        state = 'queued' OR state = 'leased' OR state = 'reported' OR state = 'valid' OR state = 'invalid'
        OR state = 'errored' OR state = 'lost' OR state = 'dropped' OR state = 'aborted'),
    worker_id TEXT,
    queued_at INTEGER NOT NULL,
    leased_at INTEGER,
    over_at INTEGER,
    deadline INTEGER,
    failure_class TEXT CHECK (
        failure_class = 'submitter' OR failure_class = 'worker' OR failure_class = 'limits'
        OR failure_class = 'aborted' OR failure_class = 'ours'),
    code TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    items_done INTEGER NOT NULL DEFAULT 0,
    item_errors INTEGER NOT NULL DEFAULT 0,
    bad_item INTEGER,
    artifact_key TEXT,
    artifact_sha256 TEXT,
    artifact_size_bytes INTEGER,
    artifact_offset INTEGER,
    items_root TEXT NOT NULL DEFAULT '',
    checked INTEGER NOT NULL DEFAULT 0 CHECK (checked IN (0, 1)),
    late INTEGER NOT NULL DEFAULT 0 CHECK (late IN (0, 1)),
    exit_code INTEGER,
    log_size_bytes INTEGER NOT NULL DEFAULT 0,
    cpu_seconds REAL NOT NULL DEFAULT 0,
    memory_bytes_max INTEGER NOT NULL DEFAULT 0,
    log_tail TEXT NOT NULL DEFAULT '',
    envelope BLOB,
    CHECK (state IN ('queued', 'dropped') OR worker_id IS NOT NULL),
    CHECK (state <> 'leased' OR deadline IS NOT NULL)
) STRICT;
CREATE INDEX attempt_chunk ON attempt (job_key, chunk_id);
CREATE INDEX attempt_queued ON attempt (job_key, attempt_id) WHERE state = 'queued';
CREATE INDEX attempt_leased ON attempt (worker_id) WHERE state = 'leased';
CREATE INDEX attempt_deadline ON attempt (deadline) WHERE state = 'leased';
CREATE INDEX attempt_late ON attempt (attempt_id) WHERE state = 'reported' AND late = 1;

CREATE TABLE worker (
    worker_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account,
    name TEXT NOT NULL,
    label TEXT,
    public_key BLOB NOT NULL,
    capability TEXT NOT NULL,
    session TEXT NOT NULL,
    joined_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    backoff_until INTEGER NOT NULL DEFAULT 0,
    leaving INTEGER NOT NULL DEFAULT 0 CHECK (leaving IN (0, 1))
) STRICT;

-- Small artifacts, several to a row: those of one job that came in one report. They are gone with their job.
CREATE TABLE pack (
    pack_id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_key INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX pack_job ON pack (job_key);

-- One row for each move, never changed. What it is about: the attempt if there is one, else the chunk, else the job.
CREATE TABLE story (
    story_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    job_key INTEGER NOT NULL,
    chunk_id INTEGER,
    attempt_id INTEGER,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    event TEXT NOT NULL,
    cause TEXT NOT NULL,
    by_whom TEXT NOT NULL
) STRICT;
CREATE INDEX story_chunk ON story (job_key, chunk_id);
CREATE INDEX story_trouble ON story (job_key, story_id)
    WHERE chunk_id IS NOT NULL AND (to_state = 'errored' OR to_state = 'lost' OR to_state = 'invalid' OR to_state = 'failed'
       OR to_state = 'split');

-- The highest number given to an attempt: numbers are never given twice, even when the rows are gone.
CREATE TABLE attempt_number (
    taken INTEGER NOT NULL
) STRICT;
INSERT INTO attempt_number (taken) VALUES (0);
