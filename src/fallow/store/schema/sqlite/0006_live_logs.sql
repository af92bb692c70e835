-- Somebody looks at the log of a running attempt, and wants its worker to tell of it until then.
CREATE TABLE log_watch (
    attempt_id INTEGER PRIMARY KEY,
    until_at INTEGER NOT NULL
) STRICT;

-- The newest bytes of a running attempt's log, as its worker told them. start: how many bytes were before them.
CREATE TABLE live_log (
    attempt_id INTEGER PRIMARY KEY,
    job_key INTEGER NOT NULL,
    at INTEGER NOT NULL,
    start INTEGER NOT NULL CHECK (start >= 0),
    data BLOB NOT NULL
) STRICT;
CREATE INDEX live_log_job ON live_log (job_key);
