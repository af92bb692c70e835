-- The OpenAI door: models, files, batches, uploads.

-- A name an operator binds to a job request without an input. endpoints: such as ["/v1/embeddings"], JSON.
CREATE TABLE model (
    name TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account,
    template TEXT NOT NULL,
    endpoints TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT;

-- Bytes with a name and a purpose. A deleted one keeps its row while a batch reads its bytes.
CREATE TABLE file (
    file_key INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account,
    purpose TEXT NOT NULL,
    filename TEXT NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    artifact_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    deleted_at INTEGER
) STRICT;
CREATE INDEX file_account ON file (account_id, file_key) WHERE deleted_at IS NULL;
CREATE INDEX file_artifact ON file (artifact_key);
CREATE INDEX file_expires ON file (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX file_deleted ON file (deleted_at) WHERE deleted_at IS NOT NULL;

-- What a batch is beside its job, whose job_id is the batch's. errors: of its validation, a JSON array of
-- {"code", "message", "param", "line"}. The moments are those no story row tells of. published_at: its files are there.
CREATE TABLE batch (
    job_key INTEGER PRIMARY KEY REFERENCES job,
    account_id TEXT NOT NULL REFERENCES account,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    input_file_id TEXT NOT NULL,
    completion_window TEXT NOT NULL,
    metadata TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    output_expires_seconds INTEGER,
    created_at INTEGER NOT NULL,
    errors TEXT NOT NULL DEFAULT '',
    usage TEXT NOT NULL DEFAULT '',
    in_progress_at INTEGER,
    finalizing_at INTEGER,
    cancelling_at INTEGER,
    output_file_id TEXT,
    error_file_id TEXT,
    published_at INTEGER,
    claim_owner TEXT NOT NULL DEFAULT '',
    claim_until INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX batch_account ON batch (account_id, job_key);
CREATE INDEX batch_request ON batch (account_id, request_sha256);
CREATE INDEX batch_unpublished ON batch (claim_until) WHERE published_at IS NULL;
CREATE INDEX batch_input ON batch (input_file_id) WHERE published_at IS NULL;

-- A file that comes in parts.
CREATE TABLE upload (
    upload_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account,
    state TEXT NOT NULL CHECK (state IN ('pending', 'completed', 'cancelled', 'expired')),
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    file_expires_seconds INTEGER,
    file_id TEXT
) STRICT;
CREATE INDEX upload_pending ON upload (expires_at) WHERE state = 'pending';

CREATE TABLE upload_part (
    part_id TEXT PRIMARY KEY,
    upload_id TEXT NOT NULL REFERENCES upload,
    artifact_key TEXT NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX upload_part_upload ON upload_part (upload_id);
