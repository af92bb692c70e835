-- attempt_row
-- One attempt with all that is known of it.
SELECT a.attempt_id, a.job_key, a.chunk_id, a.state, a.worker_id, a.deadline, a.failure_class, a.code, a.message,
       a.items_done, a.item_errors, a.bad_item, a.artifact_key, a.artifact_sha256, a.artifact_size_bytes,
       a.artifact_offset, a.items_root, a.checked,
       a.queued_at, a.leased_at, a.over_at, a.envelope, a.exit_code, a.log_tail, a.log_size_bytes, a.cpu_seconds,
       a.memory_bytes_max
  FROM attempt AS a WHERE a.attempt_id = :attempt_id;

-- attempt_rows
-- All attempts of a chunk with all that is known of them, oldest first.
SELECT a.attempt_id, a.job_key, a.chunk_id, a.state, a.worker_id, a.deadline, a.failure_class, a.code, a.message,
       a.items_done, a.item_errors, a.bad_item, a.artifact_key, a.artifact_sha256, a.artifact_size_bytes,
       a.artifact_offset, a.items_root, a.checked,
       a.queued_at, a.leased_at, a.over_at, a.envelope, a.exit_code, a.log_tail, a.log_size_bytes, a.cpu_seconds,
       a.memory_bytes_max
  FROM attempt AS a WHERE a.job_key = :job_key AND a.chunk_id = :chunk_id ORDER BY a.attempt_id;

-- attempts_of_job
-- A job's attempts after a number, with all that is known of them. The + 0 keeps the planner on the primary key.
SELECT a.attempt_id, a.job_key, a.chunk_id, a.state, a.worker_id, a.deadline, a.failure_class, a.code, a.message,
       a.items_done, a.item_errors, a.bad_item, a.artifact_key, a.artifact_sha256, a.artifact_size_bytes,
       a.artifact_offset, a.items_root, a.checked,
       a.queued_at, a.leased_at, a.over_at, a.envelope, a.exit_code, a.log_tail, a.log_size_bytes, a.cpu_seconds,
       a.memory_bytes_max
  FROM attempt AS a WHERE a.job_key + 0 = :job_key AND a.attempt_id > :after ORDER BY a.attempt_id LIMIT :limit;

-- envelope
-- An attempt's signed receipt.
SELECT envelope FROM attempt WHERE attempt_id = :attempt_id;

-- insert_queued
-- New attempts, waiting for a worker.
INSERT INTO attempt (attempt_id, job_key, chunk_id, state, queued_at)
VALUES (:attempt_id, :job_key, :chunk_id, :state, :queued_at);

-- insert_salvaged
-- New attempts that are the finished heads of failed ones.
INSERT INTO attempt (attempt_id, job_key, chunk_id, state, worker_id, queued_at, leased_at, over_at, items_done,
                     item_errors, artifact_key, artifact_sha256, artifact_size_bytes, artifact_offset, items_root,
                     envelope)
VALUES (:attempt_id, :job_key, :chunk_id, :state, :worker_id, :queued_at, :leased_at, :over_at, :items_done,
        :item_errors, :artifact_key, :artifact_sha256, :artifact_size_bytes, :artifact_offset, :items_root,
        :envelope);

-- report_attempts
-- What reports brought, and where the attempts stand now.
UPDATE attempt SET state = :state, over_at = coalesce(:over_at, over_at), late = :late, checked = :checked,
       failure_class = :failure_class,
       code = :code, message = :message, items_done = :items_done, item_errors = :item_errors,
       bad_item = :bad_item, artifact_key = :artifact_key, artifact_sha256 = :artifact_sha256,
       artifact_size_bytes = :artifact_size_bytes, artifact_offset = :artifact_offset, items_root = :items_root,
       exit_code = :exit_code, log_size_bytes = :log_size_bytes, cpu_seconds = :cpu_seconds,
       memory_bytes_max = :memory_bytes_max, log_tail = :log_tail, envelope = :envelope
 WHERE attempt_id = :attempt_id;

-- move_attempts
-- Where attempts stand now.
UPDATE attempt SET state = :state, over_at = coalesce(:over_at, over_at), late = :late,
       checked = :checked WHERE attempt_id = :attempt_id;

-- lease_attempts
-- Attempts go to a worker until a moment.
UPDATE attempt SET state = 'leased', worker_id = :worker_id, leased_at = :now, deadline = :deadline
 WHERE attempt_id = :attempt_id;

-- keep_chunk_classes
-- From now on these chunks' attempts are kept to a class of machines.
INSERT INTO chunk_class (job_key, chunk_id, class) VALUES (:job_key, :chunk_id, :class)
    ON CONFLICT (job_key, chunk_id) DO UPDATE SET class = excluded.class;

-- inherit_chunk_class
-- A piece keeps to the class of the chunk that it was cut from.
INSERT INTO chunk_class (job_key, chunk_id, class)
SELECT k.job_key, :chunk_id, k.class FROM chunk_class AS k WHERE k.job_key = :job_key AND k.chunk_id = :parent_id;

-- raise_answers
-- Chunks want more answers than before.
UPDATE chunk SET answers_wanted = :wanted, version = version + 1
 WHERE job_key = :job_key AND chunk_id = :chunk_id;

-- insert_verdicts
-- Attempts of volunteers that came to an end.
INSERT INTO boinc_verdict (attempt_id, event)
VALUES (:attempt_id, :event);

-- extend
-- One lease that this worker still holds now ends later.
UPDATE attempt SET deadline = :deadline
 WHERE attempt_id = :attempt_id AND worker_id = :worker_id AND state = 'leased' RETURNING attempt_id;

-- held
-- What a worker holds, oldest first.
SELECT a.attempt_id FROM attempt AS a WHERE a.worker_id = :worker_id AND a.state = 'leased' ORDER BY a.attempt_id;

-- expired
-- Leases that are over, longest over first.
SELECT a.job_key, a.chunk_id
  FROM attempt AS a WHERE a.state = 'leased' AND a.deadline <= :now ORDER BY a.deadline LIMIT :limit;

-- late_refs
-- Answers that came too late to count.
SELECT a.job_key, a.chunk_id
  FROM attempt AS a WHERE a.state = 'reported' AND a.late = 1 ORDER BY a.attempt_id LIMIT :limit;
