-- What PostgreSQL says in its own words. Sets come in as arrays or, with many columns, as one JSON array of objects,
-- so that a
-- set costs one round trip. Lock order: chunks by (job_key, chunk_id), attempts by number, jobs by number, at the
-- end.

-- next_chunk_id_lock
-- Whoever gives out chunk numbers of a job does it alone until the end of the transaction.
SELECT pg_advisory_xact_lock(1, CAST(:job_key AS integer));

-- reading_story
-- Waits for those who are between their story numbers and their commit.
SELECT pg_advisory_xact_lock(2, 0);

-- take_attempt_numbers
-- :count new attempt numbers.
SELECT nextval('attempt_number') FROM generate_series(1, :count);

-- lock_job
-- A job's state, locked for this transaction; none of a job that is being erased. Differs because another transaction
-- may move it.
SELECT state, started_at, created_at FROM job
 WHERE job_key = :job_key AND coalesce(finished_at, 1) <> 0 FOR NO KEY UPDATE;

-- lock_chunks
-- Chunks by number, in order, locked.
SELECT c.job_key, c.chunk_id, c.state, c.version, c.item_start, c.item_count, c.extent_start, c.extent_length,
       c.extent_skip, c.extent_sha256, c.answers_wanted, c.prior_errors, c.attempts_after, c.parent_id,
       c.canonical_id, c.fault_code, c.fault_message
  FROM unnest(:job_keys::bigint[], :chunk_ids::bigint[]) AS r(job_key, chunk_id)
  JOIN chunk AS c ON c.job_key = r.job_key AND c.chunk_id = r.chunk_id
 ORDER BY c.job_key, c.chunk_id FOR NO KEY UPDATE OF c;

-- lock_chunks_of_attempts
-- The chunks of attempts, in order, locked. Which chunk an attempt belongs to never changes.
SELECT c.job_key, c.chunk_id, c.state, c.version, c.item_start, c.item_count, c.extent_start, c.extent_length,
       c.extent_skip, c.extent_sha256, c.answers_wanted, c.prior_errors, c.attempts_after, c.parent_id,
       c.canonical_id, c.fault_code, c.fault_message
  FROM (SELECT DISTINCT a.job_key, a.chunk_id FROM attempt AS a WHERE a.attempt_id = ANY(:ids::bigint[])) AS r
  JOIN chunk AS c ON c.job_key = r.job_key AND c.chunk_id = r.chunk_id
 ORDER BY c.job_key, c.chunk_id FOR NO KEY UPDATE OF c;

-- lock_attempts
-- All attempts of chunks, oldest first, locked. A statement of its own: its snapshot must be younger than the chunks'
-- locks.
SELECT a.attempt_id, a.job_key, a.chunk_id, a.state, a.worker_id, a.deadline, a.failure_class, a.code, a.message,
       a.items_done, a.item_errors, a.bad_item, a.artifact_key, a.artifact_sha256, a.artifact_size_bytes,
       a.artifact_offset, a.items_root, a.checked, coalesce(a.over_at, a.leased_at, a.queued_at)
  FROM unnest(:job_keys::bigint[], :chunk_ids::bigint[]) AS r(job_key, chunk_id)
  JOIN attempt AS a ON a.job_key = r.job_key AND a.chunk_id = r.chunk_id
 ORDER BY a.attempt_id FOR NO KEY UPDATE OF a;

-- read_chunks
-- Chunks by number, in order.
SELECT c.job_key, c.chunk_id, c.state, c.version, c.item_start, c.item_count, c.extent_start, c.extent_length,
       c.extent_skip, c.extent_sha256, c.answers_wanted, c.prior_errors, c.attempts_after, c.parent_id,
       c.canonical_id, c.fault_code, c.fault_message
  FROM unnest(:job_keys::bigint[], :chunk_ids::bigint[]) AS r(job_key, chunk_id)
  JOIN chunk AS c ON c.job_key = r.job_key AND c.chunk_id = r.chunk_id
 ORDER BY c.job_key, c.chunk_id;

-- read_attempts
-- All attempts of chunks, oldest first.
SELECT a.attempt_id, a.job_key, a.chunk_id, a.state, a.worker_id, a.deadline, a.failure_class, a.code, a.message,
       a.items_done, a.item_errors, a.bad_item, a.artifact_key, a.artifact_sha256, a.artifact_size_bytes,
       a.artifact_offset, a.items_root, a.checked, coalesce(a.over_at, a.leased_at, a.queued_at)
  FROM unnest(:job_keys::bigint[], :chunk_ids::bigint[]) AS r(job_key, chunk_id)
  JOIN attempt AS a ON a.job_key = r.job_key AND a.chunk_id = r.chunk_id
 ORDER BY a.attempt_id;

-- refs_of_attempts
-- The chunks of attempts.
SELECT a.job_key, a.chunk_id FROM attempt AS a WHERE a.attempt_id = ANY(:ids::bigint[]);

-- account_used
-- What an account has used. Differs because others may charge it at the same moment.
SELECT used, used_at FROM account WHERE account_id = :account_id FOR NO KEY UPDATE;

-- planned_chunks
-- Chunks that wait to be opened, lowest item first. Differs because two openers must not wait for each other.
SELECT c.chunk_id, c.answers_wanted
  FROM chunk AS c WHERE c.job_key = :job_key AND c.state = 'planned' ORDER BY c.item_start LIMIT :limit
   FOR NO KEY UPDATE SKIP LOCKED;

-- open_chunks
-- Planned chunks are open now.
UPDATE chunk SET state = 'open', version = version + 1 WHERE job_key = :job_key AND chunk_id = ANY(:ids::bigint[]);

-- verifying_refs
-- Chunks that wait for a verifier, longest waiting first. Differs because two verifiers must not wait for each other.
SELECT c.job_key, c.chunk_id
  FROM chunk AS c WHERE c.state = 'verifying' AND c.verify_until <= :now ORDER BY c.verify_until LIMIT :limit
   FOR NO KEY UPDATE SKIP LOCKED;

-- claim_verifying
-- A verifier takes chunks until a moment. Differs because a set is one statement here.
UPDATE chunk AS c SET verify_owner = r.owner, verify_until = r.until
  FROM json_to_recordset(:rows::json) AS r(owner text, until bigint, job_key bigint, chunk_id bigint)
 WHERE c.job_key = r.job_key AND c.chunk_id = r.chunk_id;

-- lease
-- Queued attempts that this worker may have, oldest first, are leased: never two of a chunk, never one of a chunk
-- that it
-- holds or has answered well, and one of a chunk that it failed, lost or answered badly only when nobody else took it
-- for a while.
-- OFFSET 0 keeps the planner from turning the joins round, which with old statistics walks all chunks or attempts.
WITH a AS MATERIALIZED (
SELECT a.attempt_id, a.chunk_id, c.item_start, c.item_count, c.extent_start, c.extent_length, c.extent_skip,
       c.extent_sha256, a.queued_at
  FROM attempt AS a CROSS JOIN LATERAL (
       SELECT k.state, k.attempts_after, k.item_start, k.item_count, k.extent_start, k.extent_length, k.extent_skip,
              k.extent_sha256
         FROM chunk AS k WHERE k.job_key = a.job_key AND k.chunk_id = a.chunk_id OFFSET 0) AS c
 WHERE a.job_key = :job_key AND a.state = 'queued' AND c.state IN ('open', 'verifying') AND NOT EXISTS (
       SELECT 1 FROM attempt AS twin
        WHERE twin.job_key = a.job_key AND twin.chunk_id = a.chunk_id AND twin.attempt_id <> a.attempt_id
          AND twin.attempt_id + 0 > c.attempts_after
          AND ((twin.state = 'queued' AND twin.attempt_id < a.attempt_id)
               OR (twin.worker_id = :worker_id AND (twin.state IN ('leased', 'reported', 'valid')
                   OR (twin.state IN ('errored', 'lost', 'aborted', 'invalid') AND a.queued_at > :same_after))))
       OFFSET 0)
 ORDER BY a.attempt_id LIMIT :limit FOR NO KEY UPDATE OF a SKIP LOCKED)
UPDATE attempt AS t SET state = 'leased', worker_id = :worker_id, leased_at = :now, deadline = :deadline
  FROM a WHERE t.attempt_id = a.attempt_id
RETURNING a.attempt_id, a.chunk_id, a.item_start, a.item_count, a.extent_start, a.extent_length, a.extent_skip,
       a.extent_sha256, a.queued_at;

-- lease_kept
-- The same for a job that keeps its answers apart: not of a chunk that is kept to another class of machines while an
-- attempt of that class is at it or has answered, and none of which the account's workers hold or have answered one.
-- The chunks are locked too, without waiting for one: more answers may be asked for at once.
WITH a AS MATERIALIZED (
SELECT a.attempt_id, a.chunk_id, c.item_start, c.item_count, c.extent_start, c.extent_length, c.extent_skip,
       c.extent_sha256, a.queued_at
  FROM attempt AS a CROSS JOIN LATERAL (
       SELECT k.state, k.attempts_after, k.item_start, k.item_count, k.extent_start, k.extent_length, k.extent_skip,
              k.extent_sha256
         FROM chunk AS k WHERE k.job_key = a.job_key AND k.chunk_id = a.chunk_id OFFSET 0) AS c
 WHERE a.job_key = :job_key AND a.state = 'queued' AND c.state IN ('open', 'verifying') AND NOT EXISTS (
       SELECT 1 FROM attempt AS twin
        WHERE twin.job_key = a.job_key AND twin.chunk_id = a.chunk_id AND twin.attempt_id <> a.attempt_id
          AND twin.attempt_id + 0 > c.attempts_after
          AND ((twin.state = 'queued' AND twin.attempt_id < a.attempt_id)
               OR (twin.worker_id = :worker_id AND (twin.state IN ('leased', 'reported', 'valid')
                   OR (twin.state IN ('errored', 'lost', 'aborted', 'invalid') AND a.queued_at > :same_after)))
               OR (:class_name <> '' AND twin.state IN ('leased', 'reported', 'valid') AND EXISTS (
                   SELECT 1 FROM chunk_class AS k
                    WHERE k.job_key = a.job_key AND k.chunk_id = a.chunk_id AND k.class <> :class_name OFFSET 0))
               OR (:account_id <> '' AND twin.state IN ('leased', 'reported', 'valid') AND EXISTS (
                   SELECT 1 FROM worker AS w
                    WHERE w.worker_id = twin.worker_id AND w.account_id = :account_id OFFSET 0)))
       OFFSET 0)
 ORDER BY a.attempt_id LIMIT :limit FOR NO KEY UPDATE OF a SKIP LOCKED),
k AS MATERIALIZED (
SELECT k.chunk_id FROM chunk AS k WHERE k.job_key = :job_key AND k.chunk_id = ANY(ARRAY(SELECT a.chunk_id FROM a))
   FOR NO KEY UPDATE SKIP LOCKED)
UPDATE attempt AS t SET state = 'leased', worker_id = :worker_id, leased_at = :now, deadline = :deadline
  FROM a JOIN k ON k.chunk_id = a.chunk_id WHERE t.attempt_id = a.attempt_id
RETURNING a.attempt_id, a.chunk_id, a.item_start, a.item_count, a.extent_start, a.extent_length, a.extent_skip,
       a.extent_sha256, a.queued_at;

-- keep_chunk_classes
-- From now on these chunks' attempts are kept to a class of machines. Differs because a set is one statement here.
INSERT INTO chunk_class (job_key, chunk_id, class)
SELECT r.job_key, r.chunk_id, r.class
  FROM json_to_recordset(:rows::json) AS r(job_key bigint, chunk_id bigint, class text)
    ON CONFLICT (job_key, chunk_id) DO UPDATE SET class = excluded.class;

-- raise_answers
-- Chunks want more answers than before. Differs because a set is one statement here.
UPDATE chunk AS c SET answers_wanted = r.wanted, version = c.version + 1
  FROM json_to_recordset(:rows::json) AS r(wanted bigint, job_key bigint, chunk_id bigint)
 WHERE c.job_key = r.job_key AND c.chunk_id = r.chunk_id;

-- insert_verdicts
-- Attempts of volunteers that came to an end. Differs because a set is one statement here.
INSERT INTO boinc_verdict (attempt_id, event)
SELECT r.attempt_id, r.event
  FROM json_to_recordset(:rows::json) AS r(attempt_id bigint, event text);

-- claimable_job
-- One job that needs :what and that nobody else holds; a job whose planner is far ahead of the fleet can wait, and so
-- can a feed of which all is planned.
-- Differs because two claimers must not wait for each other.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.need = :what AND j.need <> '' AND (j.claim_owner = :owner OR j.claim_until <= :now)
   AND (j.need <> 'plan' OR (j.feed_idle = 0 AND j.chunks_planned + j.chunks_open + j.chunks_verifying < :plan_ahead))
 ORDER BY j.job_key LIMIT 1 FOR NO KEY UPDATE OF j SKIP LOCKED;

-- insert_story
-- Moves, as they were made. Differs because a set is one statement here, and because whoever takes story numbers holds a
-- lock from the first one to the commit: so a reader can wait until no lower number can still appear.
INSERT INTO story (at, job_key, chunk_id, attempt_id, from_state, to_state, event, cause, by_whom)
SELECT r.at, r.job_key, r.chunk_id, r.attempt_id, r.from_state, r.to_state, r.event, r.cause, r.by_whom
  FROM (SELECT pg_advisory_xact_lock_shared(2, 0) OFFSET 0) AS held,
       json_to_recordset(:rows::json) AS r(at bigint, job_key bigint, chunk_id bigint, attempt_id bigint,
       from_state text, to_state text, event text,
       cause text, by_whom text);

-- insert_chunks
-- New chunks. Differs because a set is one statement here.
INSERT INTO chunk (job_key, chunk_id, state, version, item_start, item_count, extent_start, extent_length,
                   extent_skip, extent_sha256, answers_wanted, prior_errors, attempts_after, parent_id,
                   canonical_id, fault_code, fault_message)
SELECT r.job_key, r.chunk_id, r.state, r.version, r.item_start, r.item_count, r.extent_start, r.extent_length,
       r.extent_skip, r.extent_sha256, r.answers_wanted, r.prior_errors, r.attempts_after, r.parent_id,
       r.canonical_id, r.fault_code, r.fault_message
  FROM json_to_recordset(:rows::json) AS r(job_key bigint, chunk_id bigint, state text, version bigint,
       item_start bigint, item_count bigint,
       extent_start bigint, extent_length bigint, extent_skip bigint, extent_sha256 text, answers_wanted bigint,
       prior_errors bigint, attempts_after bigint, parent_id bigint, canonical_id bigint, fault_code text,
       fault_message text);

-- update_chunks
-- What a transaction changed of chunks. Differs because a set is one statement here.
UPDATE chunk AS c SET state = r.state, version = c.version + 1, answers_wanted = r.answers_wanted,
       canonical_id = r.canonical_id, fault_code = r.fault_code, fault_message = r.fault_message, verify_owner = '',
       verify_until = 0
  FROM json_to_recordset(:rows::json) AS r(state text, answers_wanted bigint, canonical_id bigint, fault_code text,
       fault_message text, job_key bigint,
       chunk_id bigint)
 WHERE c.job_key = r.job_key AND c.chunk_id = r.chunk_id;

-- reopen_chunks
-- Failed or cancelled chunks begin anew. Differs because a set is one statement here.
UPDATE chunk AS c SET state = r.state, version = c.version + 1, answers_wanted = r.answers_wanted, prior_errors = 0,
       attempts_after = r.attempts_after, canonical_id = NULL, fault_code = NULL, fault_message = NULL
  FROM json_to_recordset(:rows::json) AS r(state text, answers_wanted bigint, attempts_after bigint, job_key bigint,
       chunk_id bigint)
 WHERE c.job_key = r.job_key AND c.chunk_id = r.chunk_id;

-- insert_queued
-- New attempts, waiting for a worker. Differs because a set is one statement here.
INSERT INTO attempt (attempt_id, job_key, chunk_id, state, queued_at)
SELECT r.attempt_id, r.job_key, r.chunk_id, r.state, r.queued_at
  FROM json_to_recordset(:rows::json) AS r(attempt_id bigint, job_key bigint, chunk_id bigint, state text,
       queued_at bigint);

-- insert_salvaged
-- New attempts that are the finished heads of failed ones. Differs because a set is one statement here.
INSERT INTO attempt (attempt_id, job_key, chunk_id, state, worker_id, queued_at, leased_at, over_at, items_done,
                     item_errors, artifact_key, artifact_sha256, artifact_size_bytes, artifact_offset, items_root,
                     envelope)
SELECT r.attempt_id, r.job_key, r.chunk_id, r.state, r.worker_id, r.queued_at, r.leased_at, r.over_at,
       r.items_done, r.item_errors, r.artifact_key, r.artifact_sha256, r.artifact_size_bytes, r.artifact_offset,
       r.items_root, decode(r.envelope,'base64')
  FROM json_to_recordset(:rows::json) AS r(attempt_id bigint, job_key bigint, chunk_id bigint, state text,
       worker_id text, queued_at bigint,
       leased_at bigint, over_at bigint, items_done bigint, item_errors bigint, artifact_key text,
       artifact_sha256 text, artifact_size_bytes bigint, artifact_offset bigint, items_root text, envelope text);

-- report_attempts
-- What reports brought, and where the attempts stand now. Differs because a set is one statement here.
UPDATE attempt AS a SET state = r.state, over_at = coalesce(r.over_at, a.over_at), late = r.late,
       checked = r.checked, failure_class = r.failure_class,
       code = r.code, message = r.message, items_done = r.items_done, item_errors = r.item_errors,
       bad_item = r.bad_item, artifact_key = r.artifact_key, artifact_sha256 = r.artifact_sha256,
       artifact_size_bytes = r.artifact_size_bytes, artifact_offset = r.artifact_offset, items_root = r.items_root,
       exit_code = r.exit_code, log_size_bytes = r.log_size_bytes, cpu_seconds = r.cpu_seconds,
       memory_bytes_max = r.memory_bytes_max, log_tail = r.log_tail, envelope = decode(r.envelope, 'base64')
  FROM json_to_recordset(:rows::json) AS r(attempt_id bigint, state text, over_at bigint, late bigint,
       checked bigint, failure_class text, code text,
       message text, items_done bigint, item_errors bigint, bad_item bigint, artifact_key text,
       artifact_sha256 text, artifact_size_bytes bigint, artifact_offset bigint, items_root text, exit_code bigint,
       log_size_bytes bigint, cpu_seconds double precision, memory_bytes_max bigint, log_tail text, envelope text)
 WHERE a.attempt_id = r.attempt_id;

-- move_attempts
-- Where attempts stand now. Differs because a set is one statement here.
UPDATE attempt AS a SET state = r.state, over_at = coalesce(r.over_at, a.over_at), late = r.late, checked = r.checked
  FROM json_to_recordset(:rows::json) AS r(state text, over_at bigint, late bigint, checked bigint, attempt_id bigint)
 WHERE a.attempt_id = r.attempt_id;

-- extend_all
-- Those of the leases that this worker still holds now end later.
UPDATE attempt AS a SET deadline = :deadline
  FROM (SELECT q.attempt_id FROM attempt AS q WHERE q.attempt_id = ANY(:ids::bigint[]) ORDER BY q.attempt_id
           FOR NO KEY UPDATE) AS mine
 WHERE a.attempt_id = mine.attempt_id AND a.worker_id = :worker_id AND a.state = 'leased' RETURNING a.attempt_id;

-- delete_story
-- Some of a job's story.
DELETE FROM story WHERE story_id = ANY(ARRAY(SELECT story_id FROM story WHERE job_key = :job_key LIMIT :limit));

-- read_packed
-- Artifacts out of packs, by their places in the list; each of it is a pack, where in it the artifact begins (from 1)
-- and its size. Those of packs that are gone are left out.
-- Differs because a list travels as an array: there is one for each of the three.
SELECT (w.n - 1)::int, substr(p.data, w.place::int, w.size_bytes::int)
  FROM unnest(:pack_ids::bigint[], :places::bigint[], :sizes::bigint[])
       WITH ORDINALITY AS w(pack_id, place, size_bytes, n)
  JOIN pack AS p ON p.pack_id = w.pack_id;

-- delete_packs
-- Some of a job's packs.
DELETE FROM pack WHERE pack_id = ANY(ARRAY(SELECT pack_id FROM pack WHERE job_key = :job_key LIMIT :limit));

-- delete_attempts
-- Some of a job's attempts.
DELETE FROM attempt WHERE attempt_id = ANY(ARRAY(SELECT attempt_id FROM attempt WHERE job_key = :job_key LIMIT :limit));

-- delete_chunks
-- Some of a job's chunks.
DELETE FROM chunk WHERE (job_key, chunk_id) IN (SELECT job_key,
       chunk_id FROM chunk WHERE job_key = :job_key LIMIT :limit);

-- jobs
-- Jobs of everybody, newest first.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.job_key < :before AND j.state = ANY(:states::text[]) ORDER BY j.job_key DESC LIMIT :limit;

-- leasable_jobs_for_volunteers
-- The same of those that one account's volunteers may have: the account's own, and others that are for volunteers.
-- Differs because JSON is read in other words here.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.leasable = 1
   AND (j.account_id = :account_id OR (:others = 1 AND t.spec::jsonb #>> '{requirements,volunteers}' = 'true'))
 ORDER BY j.priority DESC, j.job_key LIMIT :limit;

-- jobs_of_account
-- Jobs of one account, newest first.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.account_id = :account_id AND j.job_key < :before AND j.state = ANY(:states::text[])
 ORDER BY j.job_key DESC LIMIT :limit;

-- chunks_after
-- A job's chunks in order of their numbers.
SELECT c.job_key, c.chunk_id, c.state, c.version, c.item_start, c.item_count, c.extent_start, c.extent_length,
       c.extent_skip, c.extent_sha256, c.answers_wanted, c.prior_errors, c.attempts_after, c.parent_id,
       c.canonical_id, c.fault_code, c.fault_message
  FROM chunk AS c WHERE c.job_key = :job_key AND c.chunk_id > :after AND c.state = ANY(:states::text[])
 ORDER BY c.chunk_id LIMIT :limit;

-- lock_feed
-- How much has come, and no more until this transaction ends. Differs because the row must be locked for that.
SELECT job_key, parts, size_bytes, fed_at, closed_at FROM feed WHERE job_key = :job_key FOR UPDATE;
