-- BOINC's submit calls. A BOINC batch is a job, a BOINC job one of its items.

-- job_key: NULL until jobs were submitted into it. expire_at: 0 for never. input_template, output_names: of all jobs
-- that have none of their own; output_names is a JSON list. final: how it stood when it was retired, or aborted without jobs, JSON.
CREATE TABLE boinc_batch (
    batch_id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id TEXT NOT NULL REFERENCES account,
    app_name TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expire_at INTEGER NOT NULL DEFAULT 0,
    job_key INTEGER UNIQUE,
    job_count INTEGER NOT NULL DEFAULT 0,
    retired_at INTEGER,
    final TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX boinc_batch_account ON boinc_batch (account_id, batch_id);
CREATE INDEX boinc_batch_name ON boinc_batch (account_id, name, batch_id);
CREATE INDEX boinc_batch_expires ON boinc_batch (expire_at) WHERE expire_at > 0 AND retired_at IS NULL;
CREATE INDEX boinc_batch_retired ON boinc_batch (retired_at) WHERE retired_at IS NOT NULL;

-- place: the item of the batch's job. outputs: JSON list of the names by which the image writes its output files.
-- abort_due: somebody aborted it, and its chunk does not say so yet. final: as of boinc_batch.
CREATE TABLE boinc_job (
    boinc_job_id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id TEXT NOT NULL,
    batch_id INTEGER NOT NULL REFERENCES boinc_batch,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    outputs TEXT NOT NULL,
    aborted_at INTEGER,
    abort_due INTEGER NOT NULL DEFAULT 0 CHECK (abort_due IN (0, 1)),
    final TEXT NOT NULL DEFAULT '',
    UNIQUE (name, account_id)
) STRICT;
CREATE UNIQUE INDEX boinc_job_batch ON boinc_job (batch_id, place);
CREATE INDEX boinc_job_abort ON boinc_job (boinc_job_id) WHERE abort_due = 1;

-- Files that were staged for jobs, by the names that jobs call them. delete_at: 0 for never.
CREATE TABLE boinc_job_file (
    account_id TEXT NOT NULL REFERENCES account,
    name TEXT NOT NULL,
    artifact_key TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    delete_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX boinc_job_file_deletes ON boinc_job_file (delete_at) WHERE delete_at > 0;
