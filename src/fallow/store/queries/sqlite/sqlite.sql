-- What SQLite says in its own words: sets come in as JSON arrays, CROSS JOIN fixes the order of a join, and INDEXED
-- BY names
-- the partial index, since SQLite 3.40 would walk the whole table otherwise. One writer at a time: nothing needs a
-- lock.

-- take_attempt_numbers
-- The last of :count new attempt numbers.
UPDATE attempt_number SET taken = taken + :count RETURNING taken;

-- lock_chunks
-- Chunks by number, in order.
SELECT c.job_key, c.chunk_id, c.state, c.version, c.item_start, c.item_count, c.extent_start, c.extent_length,
       c.extent_skip, c.extent_sha256, c.answers_wanted, c.prior_errors, c.attempts_after, c.parent_id,
       c.canonical_id, c.fault_code, c.fault_message
  FROM json_each(:refs) AS r CROSS JOIN chunk AS c ON c.job_key = json_extract(r.value,
       '$[0]') AND c.chunk_id = json_extract(r.value, '$[1]')
 ORDER BY c.job_key, c.chunk_id;

-- lock_chunks_of_attempts
-- The chunks of attempts, in order.
SELECT c.job_key, c.chunk_id, c.state, c.version, c.item_start, c.item_count, c.extent_start, c.extent_length,
       c.extent_skip, c.extent_sha256, c.answers_wanted, c.prior_errors, c.attempts_after, c.parent_id,
       c.canonical_id, c.fault_code, c.fault_message
  FROM (SELECT DISTINCT a.job_key, a.chunk_id FROM json_each(:ids) AS i CROSS JOIN attempt AS a
            ON a.attempt_id = i.value) AS r
 CROSS JOIN chunk AS c ON c.job_key = r.job_key AND c.chunk_id = r.chunk_id
 ORDER BY c.job_key, c.chunk_id;

-- lock_attempts
-- All attempts of chunks, oldest first.
SELECT a.attempt_id, a.job_key, a.chunk_id, a.state, a.worker_id, a.deadline, a.failure_class, a.code, a.message,
       a.items_done, a.item_errors, a.bad_item, a.artifact_key, a.artifact_sha256, a.artifact_size_bytes,
       a.artifact_offset, a.items_root, a.checked, coalesce(a.over_at, a.leased_at, a.queued_at)
  FROM json_each(:refs) AS r CROSS JOIN attempt AS a ON a.job_key = json_extract(r.value, '$[0]')
   AND a.chunk_id = json_extract(r.value, '$[1]')
 ORDER BY a.attempt_id;

-- refs_of_attempts
-- The chunks of attempts.
SELECT a.job_key, a.chunk_id FROM json_each(:ids) AS r CROSS JOIN attempt AS a ON a.attempt_id = r.value;

-- open_chunks
-- Planned chunks are open now.
UPDATE chunk SET state = 'open', version = version + 1
 WHERE job_key = :job_key AND chunk_id IN (SELECT value FROM json_each(:ids));

-- leasable_attempts
-- Queued attempts that this worker may have, oldest first: never two of a chunk, never one of a chunk that it holds
-- or has
-- answered well, and one of a chunk that it failed, lost or answered badly only when nobody else took it for a while.
SELECT a.attempt_id, a.chunk_id, c.item_start, c.item_count, c.extent_start, c.extent_length, c.extent_skip,
       c.extent_sha256, a.queued_at
  FROM attempt AS a INDEXED BY attempt_queued
 CROSS JOIN chunk AS c ON c.job_key = a.job_key AND c.chunk_id = a.chunk_id
 WHERE a.job_key = :job_key AND a.state = 'queued' AND c.state IN ('open', 'verifying') AND NOT EXISTS (
       SELECT 1 FROM attempt AS twin
        WHERE twin.job_key = a.job_key AND twin.chunk_id = a.chunk_id AND twin.attempt_id <> a.attempt_id
          AND twin.attempt_id > c.attempts_after
          AND ((twin.state = 'queued' AND twin.attempt_id < a.attempt_id)
               OR (twin.worker_id = :worker_id AND (twin.state IN ('leased', 'reported', 'valid')
                   OR (twin.state IN ('errored', 'lost', 'aborted', 'invalid') AND a.queued_at > :same_after)))))
 ORDER BY a.attempt_id LIMIT :limit;

-- leasable_kept_attempts
-- The same for a job that keeps its answers apart: not of a chunk that is kept to another class of machines while an
-- attempt of that class is at it or has answered, and none of which the account's workers hold or have answered one.
SELECT a.attempt_id, a.chunk_id, c.item_start, c.item_count, c.extent_start, c.extent_length, c.extent_skip,
       c.extent_sha256, a.queued_at
  FROM attempt AS a INDEXED BY attempt_queued
 CROSS JOIN chunk AS c ON c.job_key = a.job_key AND c.chunk_id = a.chunk_id
 WHERE a.job_key = :job_key AND a.state = 'queued' AND c.state IN ('open', 'verifying') AND NOT EXISTS (
       SELECT 1 FROM attempt AS twin
        WHERE twin.job_key = a.job_key AND twin.chunk_id = a.chunk_id AND twin.attempt_id <> a.attempt_id
          AND twin.attempt_id > c.attempts_after
          AND ((twin.state = 'queued' AND twin.attempt_id < a.attempt_id)
               OR (twin.worker_id = :worker_id AND (twin.state IN ('leased', 'reported', 'valid')
                   OR (twin.state IN ('errored', 'lost', 'aborted', 'invalid') AND a.queued_at > :same_after)))
               OR (:class_name <> '' AND twin.state IN ('leased', 'reported', 'valid') AND EXISTS (
                   SELECT 1 FROM chunk_class AS k
                    WHERE k.job_key = a.job_key AND k.chunk_id = a.chunk_id AND k.class <> :class_name))
               OR (:account_id <> '' AND twin.state IN ('leased', 'reported', 'valid') AND EXISTS (
                   SELECT 1 FROM worker AS w WHERE w.worker_id = twin.worker_id AND w.account_id = :account_id))))
 ORDER BY a.attempt_id LIMIT :limit;

-- delete_story
-- Some of a job's story.
DELETE FROM story WHERE story_id IN (SELECT story_id FROM story WHERE job_key = :job_key LIMIT :limit);

-- delete_packs
-- Some of a job's packs.
DELETE FROM pack WHERE pack_id IN (SELECT pack_id FROM pack WHERE job_key = :job_key LIMIT :limit);

-- delete_attempts
-- Some of a job's attempts.
DELETE FROM attempt WHERE attempt_id IN (SELECT attempt_id FROM attempt WHERE job_key = :job_key LIMIT :limit);

-- delete_chunks
-- Some of a job's chunks.
DELETE FROM chunk WHERE (job_key, chunk_id) IN (SELECT job_key,
       chunk_id FROM chunk WHERE job_key = :job_key LIMIT :limit);

-- read_chunks
-- Chunks by number, in order.
SELECT c.job_key, c.chunk_id, c.state, c.version, c.item_start, c.item_count, c.extent_start, c.extent_length,
       c.extent_skip, c.extent_sha256, c.answers_wanted, c.prior_errors, c.attempts_after, c.parent_id,
       c.canonical_id, c.fault_code, c.fault_message
  FROM json_each(:refs) AS r CROSS JOIN chunk AS c ON c.job_key = json_extract(r.value,
       '$[0]') AND c.chunk_id = json_extract(r.value, '$[1]')
 ORDER BY c.job_key, c.chunk_id;

-- read_attempts
-- All attempts of chunks, oldest first.
SELECT a.attempt_id, a.job_key, a.chunk_id, a.state, a.worker_id, a.deadline, a.failure_class, a.code, a.message,
       a.items_done, a.item_errors, a.bad_item, a.artifact_key, a.artifact_sha256, a.artifact_size_bytes,
       a.artifact_offset, a.items_root, a.checked, coalesce(a.over_at, a.leased_at, a.queued_at)
  FROM json_each(:refs) AS r CROSS JOIN attempt AS a ON a.job_key = json_extract(r.value, '$[0]')
   AND a.chunk_id = json_extract(r.value, '$[1]')
 ORDER BY a.attempt_id;

-- jobs
-- Jobs of everybody, newest first.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.job_key < :before AND j.state IN (SELECT value FROM json_each(:states)) ORDER BY j.job_key DESC LIMIT :limit;

-- jobs_of_account
-- Jobs of one account, newest first.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.account_id = :account_id AND j.job_key < :before AND j.state IN (SELECT value FROM json_each(:states))
 ORDER BY j.job_key DESC LIMIT :limit;

-- chunks_after
-- A job's chunks in order of their numbers.
SELECT c.job_key, c.chunk_id, c.state, c.version, c.item_start, c.item_count, c.extent_start, c.extent_length,
       c.extent_skip, c.extent_sha256, c.answers_wanted, c.prior_errors, c.attempts_after, c.parent_id,
       c.canonical_id, c.fault_code, c.fault_message
  FROM chunk AS c WHERE c.job_key = :job_key AND c.chunk_id > :after AND c.state IN
       (SELECT value FROM json_each(:states))
 ORDER BY c.chunk_id LIMIT :limit;
