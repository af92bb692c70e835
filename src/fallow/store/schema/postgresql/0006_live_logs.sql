-- Somebody looks at the log of a running attempt, and wants its worker to tell of it until then.
CREATE TABLE log_watch (
    attempt_id bigint PRIMARY KEY,
    until_at bigint NOT NULL
);

-- The newest bytes of a running attempt's log, as its worker told them. start: how many bytes were before them.
CREATE TABLE live_log (
    attempt_id bigint PRIMARY KEY,
    job_key bigint NOT NULL,
    at bigint NOT NULL,
    start bigint NOT NULL CHECK (start >= 0),
    data bytea NOT NULL
);
CREATE INDEX live_log_job ON live_log (job_key);
