-- The BOINC door. A BOINC user is an account, a host is a worker, a result is a bundle of attempts.

-- Teams of volunteers. credit_*: see boinc_user.
CREATE TABLE boinc_team (
    team_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account,
    created_at INTEGER NOT NULL,
    credit_total REAL NOT NULL DEFAULT 0,
    credit_average REAL NOT NULL DEFAULT 0,
    credit_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX boinc_team_leaders ON boinc_team (credit_average DESC, team_id);

-- What BOINC calls an account: its number, its key (authenticator), its cross-project id. password: argon2id over what
-- BOINC's clients send for a password. credit_average: fades; as of credit_at. listed: shown on the leader board.
CREATE TABLE boinc_user (
    user_id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id TEXT NOT NULL UNIQUE REFERENCES account,
    key_sha256 TEXT NOT NULL UNIQUE CHECK (length(key_sha256) = 64),
    key_version INTEGER NOT NULL DEFAULT 1,
    cpid TEXT NOT NULL UNIQUE CHECK (length(cpid) = 32),
    password TEXT,
    team_id INTEGER REFERENCES boinc_team,
    listed INTEGER NOT NULL DEFAULT 1 CHECK (listed IN (0, 1)),
    created_at INTEGER NOT NULL,
    credit_total REAL NOT NULL DEFAULT 0,
    credit_average REAL NOT NULL DEFAULT 0,
    credit_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX boinc_user_leaders ON boinc_user (credit_average DESC, user_id);
CREATE INDEX boinc_user_team ON boinc_user (team_id) WHERE team_id IS NOT NULL;

-- Keys that are good for one machine. host_id: the first that used it; nobody else may.
CREATE TABLE boinc_worker_key (
    key_id TEXT PRIMARY KEY,
    key_sha256 TEXT NOT NULL UNIQUE CHECK (length(key_sha256) = 64),
    account_id TEXT NOT NULL REFERENCES account,
    name TEXT NOT NULL,
    host_id INTEGER,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX boinc_worker_key_account ON boinc_worker_key (account_id, created_at);

-- A BOINC client. worker_id: the worker it is now ("b-<host_id>.<generation>"). cpid: as the client names its machine;
-- likeness: what else tells it from others. rpc_seqno: of its last call; a lower one is a copy or an old state.
-- merged_into: it turned out to be that host. facts: JSON, core.volunteers.HostFacts. label_said: by the client; a
-- worker's own label column holds what counts. hr_*: homogeneous redundancy classes. no_engine_*: it could not run a
-- container, how often in a row and until when it is not asked again.
CREATE TABLE boinc_host (
    host_id INTEGER PRIMARY KEY AUTOINCREMENT,
    worker_id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account,
    generation INTEGER NOT NULL DEFAULT 1,
    cpid TEXT NOT NULL,
    likeness TEXT NOT NULL,
    rpc_seqno INTEGER NOT NULL,
    rpc_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    merged_into INTEGER,
    facts TEXT NOT NULL,
    venue TEXT NOT NULL DEFAULT '',
    label_said TEXT,
    label_set TEXT,
    label_at INTEGER NOT NULL DEFAULT 0,
    no_engine_count INTEGER NOT NULL DEFAULT 0,
    no_engine_until INTEGER NOT NULL DEFAULT 0,
    credit_total REAL NOT NULL DEFAULT 0,
    credit_average REAL NOT NULL DEFAULT 0,
    credit_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX boinc_host_account ON boinc_host (account_id, cpid);

-- What one client was sent as one task: attempts of one job that it runs one after the other. attempts: their numbers,
-- separated by spaces. state: sent, over.
CREATE TABLE boinc_result (
    result_id INTEGER PRIMARY KEY AUTOINCREMENT,
    host_id INTEGER NOT NULL,
    worker_id TEXT NOT NULL,
    job_key INTEGER NOT NULL,
    attempts TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    seconds_estimated REAL NOT NULL,
    state TEXT NOT NULL CHECK (state = 'sent' OR state = 'over'),
    over_at INTEGER,
    exit_status INTEGER,
    client_state INTEGER,
    elapsed_seconds REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX boinc_result_sent ON boinc_result (host_id, result_id) WHERE state = 'sent';
CREATE INDEX boinc_result_over ON boinc_result (over_at) WHERE state = 'over';
CREATE INDEX boinc_result_job ON boinc_result (job_key);

-- Small answer files that clients uploaded, until their results are reported. Larger ones are in the object store.
CREATE TABLE boinc_upload (
    result_id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

-- How a worker has done with one image. day: of the quota, days since 1970. seconds_per_item: of its valid answers.
CREATE TABLE reputation (
    worker_id TEXT NOT NULL,
    image TEXT NOT NULL,
    valid INTEGER NOT NULL DEFAULT 0,
    invalid INTEGER NOT NULL DEFAULT 0,
    errored INTEGER NOT NULL DEFAULT 0,
    valid_in_row INTEGER NOT NULL DEFAULT 0,
    quota INTEGER NOT NULL,
    day INTEGER NOT NULL DEFAULT 0,
    sent_today INTEGER NOT NULL DEFAULT 0,
    seconds_per_item REAL NOT NULL DEFAULT 0,
    turnaround_seconds REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (worker_id, image)
) STRICT, WITHOUT ROWID;

-- Attempts of volunteers that came to an end and are not in their reputation and credit yet. event: of core.lifecycle.
CREATE TABLE boinc_verdict (
    verdict_id INTEGER PRIMARY KEY AUTOINCREMENT,
    attempt_id INTEGER NOT NULL,
    event TEXT NOT NULL
) STRICT;

-- What each valid attempt of a volunteer earned.
CREATE TABLE credit (
    attempt_id INTEGER PRIMARY KEY,
    job_key INTEGER NOT NULL,
    worker_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    claimed REAL NOT NULL,
    granted REAL NOT NULL
) STRICT;
CREATE INDEX credit_job ON credit (job_key);

-- The class of machines that a chunk's attempts are kept to, from its first lease on. Only of jobs that ask for it.
CREATE TABLE chunk_class (
    job_key INTEGER NOT NULL,
    chunk_id INTEGER NOT NULL,
    class TEXT NOT NULL,
    PRIMARY KEY (job_key, chunk_id)
) STRICT, WITHOUT ROWID;

-- The runner as clients get it: never two contents under one version or name. signature: "" until somebody signs.
CREATE TABLE boinc_app_version (
    platform TEXT NOT NULL,
    plan_class TEXT NOT NULL,
    version_num INTEGER NOT NULL,
    file_name TEXT NOT NULL,
    artifact_key TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    md5 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    signature TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    PRIMARY KEY (platform, plan_class, version_num)
) STRICT, WITHOUT ROWID;
