-- watch_log
-- Somebody looks at an attempt's log until a moment; who looks longer is not forgotten.
INSERT INTO log_watch (attempt_id, until_at) VALUES (:attempt_id, :until)
    ON CONFLICT (attempt_id) DO UPDATE SET until_at = excluded.until_at WHERE log_watch.until_at < excluded.until_at;

-- watched_logs
-- Attempts whose logs somebody looks at, those looked at last first.
SELECT attempt_id FROM log_watch WHERE until_at > :now ORDER BY until_at DESC LIMIT :limit;

-- live_log
-- What is known of a running attempt's log.
SELECT attempt_id, start, data FROM live_log WHERE attempt_id = :attempt_id;

-- save_live_log
-- What is known of it now. Nothing for an attempt that is not there.
INSERT INTO live_log (attempt_id, job_key, at, start, data)
SELECT a.attempt_id, a.job_key, :now, :start, :data FROM attempt AS a WHERE a.attempt_id = :attempt_id
    ON CONFLICT (attempt_id) DO UPDATE SET at = excluded.at, start = excluded.start, data = excluded.data;

-- unwatched_logs
-- Attempts that nobody looks at any more, or that do not run any more.
SELECT w.attempt_id FROM log_watch AS w LEFT JOIN attempt AS a ON a.attempt_id = w.attempt_id
 WHERE w.until_at <= :now OR coalesce(a.state, '') <> 'leased' ORDER BY w.attempt_id LIMIT :limit;

-- ended_logs
-- Attempts that will not be told of any more, oldest first. Of a lost one it is all that is known.
SELECT l.attempt_id FROM live_log AS l LEFT JOIN attempt AS a ON a.attempt_id = l.attempt_id
 WHERE coalesce(a.state, '') NOT IN ('leased', 'lost') ORDER BY l.attempt_id LIMIT :limit;

-- delete_log_watch
-- Nobody looks.
DELETE FROM log_watch WHERE attempt_id = :attempt_id;

-- delete_live_log
-- The whole log is kept elsewhere, or by nobody.
DELETE FROM live_log WHERE attempt_id = :attempt_id;

-- delete_live_logs_of
-- With their job.
DELETE FROM live_log WHERE job_key = :job_key;
