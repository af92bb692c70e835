-- The OpenAI door: models, files, batches, uploads. The same as on SQLite, with PostgreSQL's types.

-- A name an operator binds to a job request without an input. endpoints: such as ["/v1/embeddings"], JSON.
CREATE TABLE model (
    name text PRIMARY KEY,
    account_id text NOT NULL REFERENCES account,
    template text NOT NULL,
    endpoints text NOT NULL,
    created_at bigint NOT NULL,
    disabled_at bigint
);

-- Bytes with a name and a purpose. A deleted one keeps its row while a batch reads its bytes.
CREATE TABLE file (
    file_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_id text NOT NULL UNIQUE,
    account_id text NOT NULL REFERENCES account,
    purpose text NOT NULL,
    filename text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    sha256 text NOT NULL CHECK (length(sha256) = 64),
    artifact_key text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    deleted_at bigint
);
CREATE INDEX file_account ON file (account_id, file_key) WHERE deleted_at IS NULL;
CREATE INDEX file_artifact ON file (artifact_key);
CREATE INDEX file_expires ON file (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX file_deleted ON file (deleted_at) WHERE deleted_at IS NOT NULL;

-- What a batch is beside its job, whose job_id is the batch's. errors: of its validation, a JSON array of
-- {"code", "message", "param", "line"}. The moments are those no story row tells of. published_at: its files are there.
CREATE TABLE batch (
    job_key bigint PRIMARY KEY REFERENCES job,
    account_id text NOT NULL REFERENCES account,
    endpoint text NOT NULL,
    model text NOT NULL,
    input_file_id text NOT NULL,
    completion_window text NOT NULL,
    metadata text NOT NULL,
    request_sha256 text NOT NULL,
    output_expires_seconds bigint,
    created_at bigint NOT NULL,
    errors text NOT NULL DEFAULT '',
    usage text NOT NULL DEFAULT '',
    in_progress_at bigint,
    finalizing_at bigint,
    cancelling_at bigint,
    output_file_id text,
    error_file_id text,
    published_at bigint,
    claim_owner text NOT NULL DEFAULT '',
    claim_until bigint NOT NULL DEFAULT 0
);
CREATE INDEX batch_account ON batch (account_id, job_key);
CREATE INDEX batch_request ON batch (account_id, request_sha256);
CREATE INDEX batch_unpublished ON batch (claim_until) WHERE published_at IS NULL;
CREATE INDEX batch_input ON batch (input_file_id) WHERE published_at IS NULL;

-- A file that comes in parts.
CREATE TABLE upload (
    upload_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES account,
    state text NOT NULL CHECK (state IN ('pending', 'completed', 'cancelled', 'expired')),
    filename text NOT NULL,
    purpose text NOT NULL,
    mime_type text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    file_expires_seconds bigint,
    file_id text
);
CREATE INDEX upload_pending ON upload (expires_at) WHERE state = 'pending';

CREATE TABLE upload_part (
    part_id text PRIMARY KEY,
    upload_id text NOT NULL REFERENCES upload,
    artifact_key text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    created_at bigint NOT NULL
);
CREATE INDEX upload_part_upload ON upload_part (upload_id);
