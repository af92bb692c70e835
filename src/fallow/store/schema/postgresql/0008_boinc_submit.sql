-- BOINC's submit calls. A BOINC batch is a job, a BOINC job one of its items.

-- job_key: NULL until jobs were submitted into it. expire_at: 0 for never. input_template, output_names: of all jobs
-- that have none of their own; output_names is a JSON list. final: how it stood when it was retired, or aborted without jobs, JSON.
CREATE TABLE boinc_batch (
    batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text NOT NULL REFERENCES account,
    app_name text NOT NULL,
    name text NOT NULL,
    created_at bigint NOT NULL,
    expire_at bigint NOT NULL DEFAULT 0,
    job_key bigint UNIQUE,
    job_count bigint NOT NULL DEFAULT 0,
    retired_at bigint,
    final text NOT NULL DEFAULT ''
);
CREATE INDEX boinc_batch_account ON boinc_batch (account_id, batch_id);
CREATE INDEX boinc_batch_name ON boinc_batch (account_id, name, batch_id);
CREATE INDEX boinc_batch_expires ON boinc_batch (expire_at) WHERE expire_at > 0 AND retired_at IS NULL;
CREATE INDEX boinc_batch_retired ON boinc_batch (retired_at) WHERE retired_at IS NOT NULL;

-- place: the item of the batch's job. outputs: JSON list of the names by which the image writes its output files.
-- abort_due: somebody aborted it, and its chunk does not say so yet. final: as of boinc_batch.
CREATE TABLE boinc_job (
    boinc_job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text NOT NULL,
    batch_id bigint NOT NULL REFERENCES boinc_batch,
    place bigint NOT NULL,
    name text NOT NULL,
    outputs text NOT NULL,
    aborted_at bigint,
    abort_due bigint NOT NULL DEFAULT 0 CHECK (abort_due IN (0, 1)),
    final text NOT NULL DEFAULT '',
    UNIQUE (name, account_id)
);
CREATE UNIQUE INDEX boinc_job_batch ON boinc_job (batch_id, place);
CREATE INDEX boinc_job_abort ON boinc_job (boinc_job_id) WHERE abort_due = 1;

-- Files that were staged for jobs, by the names that jobs call them. delete_at: 0 for never.
CREATE TABLE boinc_job_file (
    account_id text NOT NULL REFERENCES account,
    name text NOT NULL,
    artifact_key text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    created_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, name)
);
CREATE INDEX boinc_job_file_deletes ON boinc_job_file (delete_at) WHERE delete_at > 0;
