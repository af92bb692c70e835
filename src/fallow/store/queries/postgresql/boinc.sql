-- What PostgreSQL says in its own words for the BOINC door. Lock order there: hosts, users, teams, each by number.

-- add_host
-- A new host, whose worker is named after its number. Differs because others add hosts at the same moment, and numbers
-- come from the column's own sequence.
INSERT INTO boinc_host (host_id, worker_id, account_id, generation, cpid, likeness, rpc_seqno, rpc_at, created_at,
                        merged_into, facts, venue, label_said, label_set, label_at, no_engine_count, no_engine_until)
OVERRIDING SYSTEM VALUE
SELECT n.host_id, 'b-' || n.host_id || '.1', :account_id, 1, :cpid, :likeness, :rpc_seqno, :rpc_at, :created_at,
       :merged_into, :facts, :venue, :label_said, :label_set, :label_at, :no_engine_count, :no_engine_until
  FROM (SELECT nextval(pg_get_serial_sequence('boinc_host', 'host_id')) AS host_id OFFSET 0) AS n
RETURNING host_id;

-- add_results
-- What a host is sent in one call, in order. Differs because a set is one JSON array of objects here.
INSERT INTO boinc_result (host_id, worker_id, job_key, attempts, sent_at, deadline, seconds_estimated, state)
SELECT r.host_id, r.worker_id, r.job_key, r.attempts, r.sent_at, r.deadline, r.seconds_estimated, 'sent'
  FROM json_to_recordset(:rows::json) AS r(host_id bigint, worker_id text, job_key bigint, attempts text,
       sent_at bigint, deadline bigint, seconds_estimated double precision)
RETURNING result_id;

-- boinc_results
-- Several results. Differs because a set is an array here.
SELECT result_id, host_id, worker_id, job_key, attempts, sent_at, deadline, seconds_estimated, over_at, exit_status,
       client_state, elapsed_seconds
  FROM boinc_result WHERE result_id = ANY(:ids::bigint[]);

-- answer_uploads
-- Several answer files. Differs because a set is an array here.
SELECT u.result_id, u.data FROM boinc_upload AS u WHERE u.result_id = ANY(:ids::bigint[]);

-- end_results
-- Results are over. Differs because a set is one statement here.
UPDATE boinc_result AS o SET state = 'over', over_at = r.over_at, exit_status = r.exit_status,
       client_state = r.client_state, elapsed_seconds = r.elapsed_seconds
  FROM json_to_recordset(:rows::json) AS r(over_at bigint, exit_status bigint, client_state bigint,
       elapsed_seconds double precision, result_id bigint)
 WHERE o.result_id = r.result_id;

-- forget_results
-- Results that were over before a moment are forgotten, longest over first. Differs because a set is an array here.
DELETE FROM boinc_result WHERE result_id = ANY(ARRAY(
       SELECT o.result_id FROM boinc_result AS o
        WHERE o.state = 'over' AND o.over_at < :before ORDER BY o.over_at LIMIT :limit));

-- delete_boinc_results
-- Some of a job's results. Differs because a set is an array here.
DELETE FROM boinc_result WHERE result_id = ANY(ARRAY(
       SELECT o.result_id FROM boinc_result AS o WHERE o.job_key = :job_key LIMIT :limit));

-- chunk_classes
-- To which classes of machines chunks are kept. Differs because a set is an array here.
SELECT chunk_id, class FROM chunk_class WHERE job_key = :job_key AND chunk_id = ANY(:ids::bigint[]);

-- set_chunk_classes
-- Chunks are kept to a class of machines. Differs because a set is one statement here.
INSERT INTO chunk_class (job_key, chunk_id, class)
SELECT r.job_key, r.chunk_id, r.class
  FROM json_to_recordset(:rows::json) AS r(job_key bigint, chunk_id bigint, class text)
 ORDER BY r.chunk_id
    ON CONFLICT (job_key, chunk_id) DO UPDATE SET class = excluded.class;

-- drop_chunk_classes
-- Chunks may go to any class of machines. Differs because a set is an array here.
DELETE FROM chunk_class WHERE job_key = :job_key AND chunk_id = ANY(:ids::bigint[]);

-- lock_verdicts
-- Whether nobody else is at the verdicts, and nobody will be until this transaction ends. Differs because only a lock
-- makes it so here.
SELECT 1 WHERE pg_try_advisory_xact_lock(6, 0);

-- forget_verdicts
-- They are in the books. Differs because a set is an array here.
DELETE FROM boinc_verdict WHERE verdict_id = ANY(:ids::bigint[]);

-- add_credit
-- What attempts earned; one that has earned already keeps that, and is not among the numbers that come back. Differs
-- because a set is one JSON array of objects here.
INSERT INTO credit (attempt_id, job_key, worker_id, account_id, at, claimed, granted)
SELECT r.attempt_id, r.job_key, r.worker_id, r.account_id, r.at, r.claimed, r.granted
  FROM json_to_recordset(:rows::json) AS r(attempt_id bigint, job_key bigint, worker_id text, account_id text,
       at bigint, claimed double precision, granted double precision)
 ORDER BY r.attempt_id
    ON CONFLICT (attempt_id) DO NOTHING
RETURNING attempt_id;

-- reputations_of
-- How workers have done, image by image. Differs because a set is an array here.
SELECT p.worker_id, p.image, p.quota, p.valid, p.invalid, p.errored, p.valid_in_row, p.day, p.sent_today,
       p.seconds_per_item, p.turnaround_seconds
  FROM reputation AS p WHERE p.worker_id = ANY(:ids::text[]) ORDER BY p.worker_id, p.image;

-- save_reputation
-- How a worker has done with an image; how much it was sent today stays as it is. Differs because a set is one statement
-- here.
INSERT INTO reputation (worker_id, image, quota, valid, invalid, errored, valid_in_row, day, sent_today,
                        seconds_per_item, turnaround_seconds)
SELECT r.worker_id, r.image, r.quota, r.valid, r.invalid, r.errored, r.valid_in_row, r.day, r.sent_today,
       r.seconds_per_item, r.turnaround_seconds
  FROM json_to_recordset(:rows::json) AS r(worker_id text, image text, quota bigint, valid bigint, invalid bigint,
       errored bigint, valid_in_row bigint, day bigint, sent_today bigint, seconds_per_item double precision,
       turnaround_seconds double precision)
 ORDER BY r.worker_id, r.image
    ON CONFLICT (worker_id, image) DO UPDATE SET quota = excluded.quota, valid = excluded.valid,
       invalid = excluded.invalid, errored = excluded.errored, valid_in_row = excluded.valid_in_row,
       seconds_per_item = excluded.seconds_per_item, turnaround_seconds = excluded.turnaround_seconds;

-- granted_in
-- What each attempt of chunks was granted. Differs because a set is two arrays here.
SELECT a.job_key, a.chunk_id, max(k.granted)
  FROM unnest(:job_keys::bigint[], :chunk_ids::bigint[]) AS r(job_key, chunk_id)
  JOIN attempt AS a ON a.job_key = r.job_key AND a.chunk_id = r.chunk_id
  JOIN credit AS k ON k.attempt_id = a.attempt_id
 GROUP BY a.job_key, a.chunk_id;

-- delete_credit
-- Some of what a job's attempts earned; the totals stay. Differs because a set is an array here.
DELETE FROM credit WHERE attempt_id = ANY(ARRAY(
       SELECT k.attempt_id FROM credit AS k WHERE k.job_key = :job_key LIMIT :limit));

-- earned_by_hosts
-- What hosts have earned, locked. Differs because others may change it at the same moment.
SELECT h.host_id, h.credit_total, h.credit_average, h.credit_at
  FROM boinc_host AS h WHERE h.host_id = ANY(:ids::bigint[]) ORDER BY h.host_id FOR NO KEY UPDATE;

-- earned_by_users
-- What users have earned, and their teams, locked. Differs because others may change it at the same moment.
SELECT u.user_id, u.credit_total, u.credit_average, u.credit_at, u.account_id, u.team_id
  FROM boinc_user AS u WHERE u.account_id = ANY(:ids::text[]) ORDER BY u.user_id FOR NO KEY UPDATE;

-- earned_by_teams
-- What teams have earned, locked. Differs because others may change it at the same moment.
SELECT t.team_id, t.credit_total, t.credit_average, t.credit_at
  FROM boinc_team AS t WHERE t.team_id = ANY(:ids::bigint[]) ORDER BY t.team_id FOR NO KEY UPDATE;

-- set_earned_by_hosts
-- What hosts have earned by now, unless somebody else wrote first. Differs because a set is one statement here.
UPDATE boinc_host AS o SET credit_total = r.total, credit_average = r.average, credit_at = r.at
  FROM json_to_recordset(:rows::json) AS r(total double precision, average double precision, at bigint, number bigint,
       was_at bigint, was_total double precision)
 WHERE o.host_id = r.number AND o.credit_at = r.was_at AND o.credit_total = r.was_total;

-- set_earned_by_users
-- What users have earned by now, unless somebody else wrote first. Differs because a set is one statement here.
UPDATE boinc_user AS o SET credit_total = r.total, credit_average = r.average, credit_at = r.at
  FROM json_to_recordset(:rows::json) AS r(total double precision, average double precision, at bigint, number bigint,
       was_at bigint, was_total double precision)
 WHERE o.user_id = r.number AND o.credit_at = r.was_at AND o.credit_total = r.was_total;

-- set_earned_by_teams
-- What teams have earned by now, unless somebody else wrote first. Differs because a set is one statement here.
UPDATE boinc_team AS o SET credit_total = r.total, credit_average = r.average, credit_at = r.at
  FROM json_to_recordset(:rows::json) AS r(total double precision, average double precision, at bigint, number bigint,
       was_at bigint, was_total double precision)
 WHERE o.team_id = r.number AND o.credit_at = r.was_at AND o.credit_total = r.was_total;

-- task_chunks
-- Attempts with their chunks, by number. Differs because a set is an array here.
SELECT a.attempt_id, a.chunk_id, c.item_start, c.item_count, c.extent_start, c.extent_length, c.extent_skip,
       c.extent_sha256, a.state, a.worker_id
  FROM attempt AS a
  JOIN chunk AS c ON c.job_key = a.job_key AND c.chunk_id = a.chunk_id
 WHERE a.attempt_id = ANY(:ids::bigint[]) ORDER BY a.attempt_id;

-- forget_uploads
-- Their answers are in rows now. Differs because a set is an array here.
DELETE FROM boinc_upload WHERE result_id = ANY(:ids::bigint[]);

-- held_host
-- One host by its number, locked. Differs because others may change it at the same moment.
SELECT h.host_id, h.worker_id, h.account_id, h.generation, h.cpid, h.likeness, h.rpc_seqno, h.rpc_at, h.created_at, h.facts,
       h.venue, h.merged_into, h.label_said, h.label_set, h.label_at, h.no_engine_count, h.no_engine_until,
       h.credit_total, h.credit_average, h.credit_at
  FROM boinc_host AS h WHERE h.host_id = :host_id
   FOR NO KEY UPDATE;

-- hosts_by_id
-- Hosts by number. Differs because a set is an array here.
SELECT h.host_id, h.worker_id, h.account_id, h.generation, h.cpid, h.likeness, h.rpc_seqno, h.rpc_at, h.created_at, h.facts,
       h.venue, h.merged_into, h.label_said, h.label_set, h.label_at, h.no_engine_count, h.no_engine_until,
       h.credit_total, h.credit_average, h.credit_at
  FROM boinc_host AS h WHERE h.host_id = ANY(:ids::bigint[]) ORDER BY h.host_id;
