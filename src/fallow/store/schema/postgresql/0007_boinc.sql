-- The BOINC door. A BOINC user is an account, a host is a worker, a result is a bundle of attempts.

-- Teams of volunteers. credit_*: see boinc_user.
CREATE TABLE boinc_team (
    team_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    name_key text NOT NULL UNIQUE,
    account_id text NOT NULL REFERENCES account,
    created_at bigint NOT NULL,
    credit_total double precision NOT NULL DEFAULT 0,
    credit_average double precision NOT NULL DEFAULT 0,
    credit_at bigint NOT NULL DEFAULT 0
);
CREATE INDEX boinc_team_leaders ON boinc_team (credit_average DESC, team_id);

-- What BOINC calls an account: its number, its key (authenticator), its cross-project id. password: argon2id over what
-- BOINC's clients send for a password. credit_average: fades; as of credit_at. listed: shown on the leader board.
CREATE TABLE boinc_user (
    user_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text NOT NULL UNIQUE REFERENCES account,
    key_sha256 text NOT NULL UNIQUE CHECK (length(key_sha256) = 64),
    key_version bigint NOT NULL DEFAULT 1,
    cpid text NOT NULL UNIQUE CHECK (length(cpid) = 32),
    password text,
    team_id bigint REFERENCES boinc_team,
    listed bigint NOT NULL DEFAULT 1 CHECK (listed IN (0, 1)),
    created_at bigint NOT NULL,
    credit_total double precision NOT NULL DEFAULT 0,
    credit_average double precision NOT NULL DEFAULT 0,
    credit_at bigint NOT NULL DEFAULT 0
);
CREATE INDEX boinc_user_leaders ON boinc_user (credit_average DESC, user_id);
CREATE INDEX boinc_user_team ON boinc_user (team_id) WHERE team_id IS NOT NULL;

-- Keys that are good for one machine. host_id: the first that used it; nobody else may.
CREATE TABLE boinc_worker_key (
    key_id text PRIMARY KEY,
    key_sha256 text NOT NULL UNIQUE CHECK (length(key_sha256) = 64),
    account_id text NOT NULL REFERENCES account,
    name text NOT NULL,
    host_id bigint,
    created_at bigint NOT NULL,
    revoked_at bigint
);
CREATE INDEX boinc_worker_key_account ON boinc_worker_key (account_id, created_at);

-- A BOINC client. worker_id: the worker it is now ("b-<host_id>.<generation>"). cpid: as the client names its machine;
-- likeness: what else tells it from others. rpc_seqno: of its last call; a lower one is a copy or an old state.
-- merged_into: it turned out to be that host. facts: JSON, core.volunteers.HostFacts. label_said: by the client; a
-- worker's own label column holds what counts. hr_*: homogeneous redundancy classes. no_engine_*: it could not run a
-- container, how often in a row and until when it is not asked again.
CREATE TABLE boinc_host (
    host_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker_id text NOT NULL UNIQUE,
    account_id text NOT NULL REFERENCES account,
    generation bigint NOT NULL DEFAULT 1,
    cpid text NOT NULL,
    likeness text NOT NULL,
    rpc_seqno bigint NOT NULL,
    rpc_at bigint NOT NULL,
    created_at bigint NOT NULL,
    merged_into bigint,
    facts text NOT NULL,
    venue text NOT NULL DEFAULT '',
    label_said text,
    label_set text,
    label_at bigint NOT NULL DEFAULT 0,
    no_engine_count bigint NOT NULL DEFAULT 0,
    no_engine_until bigint NOT NULL DEFAULT 0,
    credit_total double precision NOT NULL DEFAULT 0,
    credit_average double precision NOT NULL DEFAULT 0,
    credit_at bigint NOT NULL DEFAULT 0
);
CREATE INDEX boinc_host_account ON boinc_host (account_id, cpid);

-- What one client was sent as one task: attempts of one job that it runs one after the other. attempts: their numbers,
-- separated by spaces. state: sent, over.
CREATE TABLE boinc_result (
    result_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host_id bigint NOT NULL,
    worker_id text NOT NULL,
    job_key bigint NOT NULL,
    attempts text NOT NULL,
    sent_at bigint NOT NULL,
    deadline bigint NOT NULL,
    seconds_estimated double precision NOT NULL,
    state text NOT NULL CHECK (state = 'sent' OR state = 'over'),
    over_at bigint,
    exit_status bigint,
    client_state bigint,
    elapsed_seconds double precision NOT NULL DEFAULT 0
);
CREATE INDEX boinc_result_sent ON boinc_result (host_id, result_id) WHERE state = 'sent';
CREATE INDEX boinc_result_over ON boinc_result (over_at) WHERE state = 'over';
CREATE INDEX boinc_result_job ON boinc_result (job_key);

-- Small answer files that clients uploaded, until their results are reported. Larger ones are in the object store.
CREATE TABLE boinc_upload (
    result_id bigint PRIMARY KEY,
    data bytea NOT NULL
);

-- How a worker has done with one image. day: of the quota, days since 1970. seconds_per_item: of its valid answers.
CREATE TABLE reputation (
    worker_id text NOT NULL,
    image text NOT NULL,
    valid bigint NOT NULL DEFAULT 0,
    invalid bigint NOT NULL DEFAULT 0,
    errored bigint NOT NULL DEFAULT 0,
    valid_in_row bigint NOT NULL DEFAULT 0,
    quota bigint NOT NULL,
    day bigint NOT NULL DEFAULT 0,
    sent_today bigint NOT NULL DEFAULT 0,
    seconds_per_item double precision NOT NULL DEFAULT 0,
    turnaround_seconds double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (worker_id, image)
);

-- Attempts of volunteers that came to an end and are not in their reputation and credit yet. event: of core.lifecycle.
CREATE TABLE boinc_verdict (
    verdict_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    attempt_id bigint NOT NULL,
    event text NOT NULL
);

-- What each valid attempt of a volunteer earned.
CREATE TABLE credit (
    attempt_id bigint PRIMARY KEY,
    job_key bigint NOT NULL,
    worker_id text NOT NULL,
    account_id text NOT NULL,
    at bigint NOT NULL,
    claimed double precision NOT NULL,
    granted double precision NOT NULL
);
CREATE INDEX credit_job ON credit (job_key);

-- The class of machines that a chunk's attempts are kept to, from its first lease on. Only of jobs that ask for it.
CREATE TABLE chunk_class (
    job_key bigint NOT NULL,
    chunk_id bigint NOT NULL,
    class text NOT NULL,
    PRIMARY KEY (job_key, chunk_id)
);

-- The runner as clients get it: never two contents under one version or name. signature: "" until somebody signs.
CREATE TABLE boinc_app_version (
    platform text NOT NULL,
    plan_class text NOT NULL,
    version_num bigint NOT NULL,
    file_name text NOT NULL,
    artifact_key text NOT NULL,
    sha256 text NOT NULL,
    md5 text NOT NULL,
    size_bytes bigint NOT NULL,
    signature text NOT NULL DEFAULT '',
    created_at bigint NOT NULL,
    PRIMARY KEY (platform, plan_class, version_num)
);
