-- add_boinc_batch
-- A batch that has no jobs yet; its number.
INSERT INTO boinc_batch (account_id, app_name, name, created_at, expire_at)
VALUES (:account_id, :app_name, :name, :now, :expire_at) RETURNING batch_id;

-- boinc_batch
-- One batch by its number.
SELECT batch_id, account_id, app_name, name, created_at, expire_at, job_key, job_count, retired_at, final
  FROM boinc_batch WHERE batch_id = :batch_id;

-- boinc_batch_of_job
-- The batch whose job this is.
SELECT batch_id, account_id, app_name, name, created_at, expire_at, job_key, job_count, retired_at, final
  FROM boinc_batch WHERE job_key = :job_key;

-- boinc_batch_named
-- An account's newest batch of a name.
SELECT batch_id, account_id, app_name, name, created_at, expire_at, job_key, job_count, retired_at, final
  FROM boinc_batch WHERE account_id = :account_id AND name = :name ORDER BY batch_id DESC LIMIT 1;

-- boinc_batches
-- An account's batches that are not retired, oldest first.
SELECT batch_id, account_id, app_name, name, created_at, expire_at, job_key, job_count, retired_at, final
  FROM boinc_batch WHERE account_id = :account_id AND batch_id > :after AND retired_at IS NULL
 ORDER BY batch_id LIMIT :limit;

-- start_boinc_batch
-- The batch has its job from now on, unless it has one or is retired.
UPDATE boinc_batch SET job_key = :job_key, job_count = :job_count
 WHERE batch_id = :batch_id AND job_key IS NULL AND retired_at IS NULL AND final = '';

-- abort_boinc_batch
-- A batch that has no jobs yet gets none any more.
UPDATE boinc_batch SET final = :final
 WHERE batch_id = :batch_id AND job_key IS NULL AND retired_at IS NULL AND final = '';

-- set_boinc_batch_expiry
-- When the batch is to be retired by itself.
UPDATE boinc_batch SET expire_at = :expire_at WHERE batch_id = :batch_id;

-- retire_boinc_batch
-- The batch is retired, and stays as it stood then.
UPDATE boinc_batch SET retired_at = :now, final = :final WHERE batch_id = :batch_id AND retired_at IS NULL;

-- expired_boinc_batches
-- Batches whose time is over.
SELECT batch_id, account_id, app_name, name, created_at, expire_at, job_key, job_count, retired_at, final
  FROM boinc_batch WHERE expire_at > 0 AND expire_at <= :now AND retired_at IS NULL ORDER BY expire_at LIMIT :limit;

-- forgettable_boinc_batches
-- Batches that were retired before a moment.
SELECT batch_id FROM boinc_batch WHERE retired_at IS NOT NULL AND retired_at < :before ORDER BY retired_at LIMIT :limit;

-- forget_boinc_jobs
-- The jobs of a batch that nobody asks for any more.
DELETE FROM boinc_job WHERE batch_id = :batch_id;

-- forget_boinc_batch
-- A batch that nobody asks for any more.
DELETE FROM boinc_batch WHERE batch_id = :batch_id;

-- add_boinc_jobs
-- The jobs of a batch.
INSERT INTO boinc_job (account_id, batch_id, place, name, outputs)
VALUES (:account_id, :batch_id, :place, :name, :outputs);

-- taken_boinc_names
-- Which of the names an account's jobs have already.
SELECT name FROM boinc_job WHERE account_id = :account_id AND name IN (SELECT value FROM json_each(:names));

-- boinc_job
-- One job by its number.
SELECT boinc_job_id, account_id, batch_id, place, name, outputs, aborted_at, final
  FROM boinc_job WHERE boinc_job_id = :boinc_job_id;

-- boinc_jobs_named
-- Jobs of a name: everybody's, or one account's.
SELECT boinc_job_id, account_id, batch_id, place, name, outputs, aborted_at, final
  FROM boinc_job WHERE name = :name AND (:account_id = '' OR account_id = :account_id) LIMIT :limit;

-- boinc_jobs_standing
-- A batch's jobs in order, each with how its chunk stands.
SELECT j.boinc_job_id, j.account_id, j.batch_id, j.place, j.name, j.outputs, j.aborted_at, j.final,
       c.state, c.fault_code, coalesce(c.canonical_id, 0), coalesce(a.cpu_seconds, 0), coalesce(a.item_errors, 0),
       EXISTS (SELECT 1 FROM attempt AS t
                WHERE t.job_key = c.job_key AND t.chunk_id = c.chunk_id AND t.state IN ('leased', 'reported')),
       (SELECT t.exit_code FROM attempt AS t
         WHERE t.job_key = c.job_key AND t.chunk_id = c.chunk_id AND t.state = 'errored'
         ORDER BY t.attempt_id DESC LIMIT 1)
  FROM boinc_job AS j
  JOIN boinc_batch AS b ON b.batch_id = j.batch_id
  LEFT JOIN chunk AS c ON c.job_key = b.job_key AND c.chunk_id = j.place
  LEFT JOIN attempt AS a ON a.attempt_id = c.canonical_id
 WHERE j.batch_id = :batch_id AND j.place > :after AND (:only < 0 OR j.place = :only)
 ORDER BY j.place LIMIT :limit;

-- boinc_batch_cpu
-- Processor seconds of all attempts of a job.
SELECT coalesce(sum(cpu_seconds), 0) FROM attempt WHERE job_key = :job_key;

-- boinc_batch_credit
-- Credit of the attempts of a job that count.
SELECT coalesce(sum(g.granted), 0) FROM credit AS g
  JOIN attempt AS a ON a.attempt_id = g.attempt_id
  JOIN chunk AS c ON c.job_key = a.job_key AND c.chunk_id = a.chunk_id AND c.canonical_id = a.attempt_id
 WHERE g.job_key = :job_key;

-- abort_boinc_job
-- Somebody aborts a job; its chunk is told next.
UPDATE boinc_job SET aborted_at = :now, abort_due = 1 WHERE boinc_job_id = :boinc_job_id AND aborted_at IS NULL;

-- boinc_aborts_due
-- Aborted jobs whose chunks do not know it yet.
SELECT j.boinc_job_id, b.job_key, j.place FROM boinc_job AS j JOIN boinc_batch AS b ON b.batch_id = j.batch_id
 WHERE j.abort_due = 1 AND j.boinc_job_id > :after ORDER BY j.boinc_job_id LIMIT :limit;

-- boinc_aborts_pending
-- How many of a batch's jobs are such.
SELECT count(*) FROM boinc_job WHERE batch_id = :batch_id AND abort_due = 1;

-- boinc_abort_done
-- The chunk knows, or does not matter any more.
UPDATE boinc_job SET abort_due = 0 WHERE boinc_job_id = :boinc_job_id;

-- set_boinc_job_final
-- How jobs stood when their batch was retired.
UPDATE boinc_job SET final = :final, abort_due = 0 WHERE boinc_job_id = :boinc_job_id;

-- save_boinc_job_file
-- A staged file; one of the same name gives way.
INSERT INTO boinc_job_file (account_id, name, artifact_key, sha256, size_bytes, created_at, delete_at)
VALUES (:account_id, :name, :artifact_key, :sha256, :size_bytes, :created_at, :delete_at)
    ON CONFLICT (account_id, name) DO UPDATE SET artifact_key = excluded.artifact_key, sha256 = excluded.sha256,
       size_bytes = excluded.size_bytes, created_at = excluded.created_at, delete_at = excluded.delete_at;

-- boinc_job_files
-- Those of the files that an account has staged.
SELECT account_id, name, artifact_key, sha256, size_bytes, created_at, delete_at
  FROM boinc_job_file WHERE account_id = :account_id AND name IN (SELECT value FROM json_each(:names));

-- keep_boinc_job_files
-- Files are kept until then, or longer.
UPDATE boinc_job_file SET delete_at = :delete_at
 WHERE account_id = :account_id AND name IN (SELECT value FROM json_each(:names))
   AND delete_at > 0 AND (:delete_at = 0 OR delete_at < :delete_at);

-- forget_boinc_job_files
-- Files whose time is over.
DELETE FROM boinc_job_file WHERE delete_at > 0 AND delete_at <= :now;
