-- save_model
-- A model; one of the same name is replaced, and serves again if it was switched off.
INSERT INTO model (name, account_id, template, endpoints, created_at, disabled_at)
VALUES (:name, :account_id, :template, :endpoints, :created_at, :disabled_at)
    ON CONFLICT (name) DO UPDATE SET account_id = excluded.account_id, template = excluded.template,
       endpoints = excluded.endpoints, created_at = excluded.created_at, disabled_at = excluded.disabled_at;

-- model
-- One model, switched off or not.
SELECT name, account_id, template, endpoints, created_at, disabled_at FROM model WHERE name = :name;

-- models
-- The models that serve, by name.
SELECT name, account_id, template, endpoints, created_at, disabled_at
  FROM model WHERE disabled_at IS NULL ORDER BY name;

-- disable_model
-- Switches a model off; jobs that it has run or runs keep what they were given.
UPDATE model SET disabled_at = :now WHERE name = :name AND disabled_at IS NULL;

-- add_file
-- A file; one that is there already stays as it is.
INSERT INTO file (file_id, account_id, purpose, filename, size_bytes, sha256, artifact_key, created_at, expires_at)
VALUES (:file_id, :account_id, :purpose, :filename, :size_bytes, :sha256, :artifact_key, :created_at, :expires_at)
    ON CONFLICT (file_id) DO NOTHING;

-- file
-- One file, deleted or not.
SELECT file_id, account_id, purpose, filename, size_bytes, sha256, artifact_key, created_at, expires_at, deleted_at,
       file_key
  FROM file WHERE file_id = :file_id;

-- files_down
-- An account's files that are there, newest first, from below a place on.
SELECT file_id, account_id, purpose, filename, size_bytes, sha256, artifact_key, created_at, expires_at, deleted_at,
       file_key
  FROM file
 WHERE account_id = :account_id AND deleted_at IS NULL AND file_key < :after
   AND (expires_at IS NULL OR expires_at > :now) AND (:purpose = '' OR purpose = :purpose)
 ORDER BY file_key DESC LIMIT :limit;

-- files_up
-- An account's files that are there, oldest first, from above a place on.
SELECT file_id, account_id, purpose, filename, size_bytes, sha256, artifact_key, created_at, expires_at, deleted_at,
       file_key
  FROM file
 WHERE account_id = :account_id AND deleted_at IS NULL AND file_key > :after
   AND (expires_at IS NULL OR expires_at > :now) AND (:purpose = '' OR purpose = :purpose)
 ORDER BY file_key LIMIT :limit;

-- delete_file
-- A file that nobody sees any more; its bytes go when nobody reads them.
UPDATE file SET deleted_at = :now WHERE file_id = :file_id AND deleted_at IS NULL;

-- expire_files
-- Files past their time are deleted.
UPDATE file SET deleted_at = :now WHERE file_id IN (
       SELECT f.file_id FROM file AS f
        WHERE f.expires_at IS NOT NULL AND f.deleted_at IS NULL AND f.expires_at <= :now
        ORDER BY f.expires_at LIMIT :limit);

-- unread_files
-- Deleted files that no batch has yet to read, longest deleted first.
SELECT f.file_id, f.account_id, f.purpose, f.filename, f.size_bytes, f.sha256, f.artifact_key, f.created_at,
       f.expires_at, f.deleted_at, f.file_key
  FROM file AS f
 WHERE f.deleted_at IS NOT NULL AND f.deleted_at > 0 AND NOT EXISTS (
       SELECT 1 FROM batch AS b
        WHERE b.input_file_id = f.file_id AND b.published_at IS NULL AND b.in_progress_at IS NULL)
 ORDER BY f.deleted_at LIMIT :limit;

-- remove_file
-- A deleted file whose bytes are gone.
DELETE FROM file WHERE file_id = :file_id AND deleted_at IS NOT NULL;

-- add_batch
-- What a batch is beside its job.
INSERT INTO batch (job_key, account_id, endpoint, model, input_file_id, completion_window, metadata, request_sha256,
                   output_expires_seconds, created_at)
VALUES (:job_key, :account_id, :endpoint, :model, :input_file_id, :completion_window, :metadata, :request_sha256,
        :output_expires_seconds, :created_at);

-- batch
-- One batch by its job.
SELECT job_key, account_id, endpoint, model, input_file_id, completion_window, metadata, request_sha256,
       output_expires_seconds, created_at, errors, usage, in_progress_at, finalizing_at, cancelling_at,
       output_file_id, error_file_id, published_at
  FROM batch WHERE job_key = :job_key;

-- batches
-- An account's batches, newest first, from below a place on.
SELECT job_key, account_id, endpoint, model, input_file_id, completion_window, metadata, request_sha256,
       output_expires_seconds, created_at, errors, usage, in_progress_at, finalizing_at, cancelling_at,
       output_file_id, error_file_id, published_at
  FROM batch WHERE account_id = :account_id AND job_key < :before ORDER BY job_key DESC LIMIT :limit;

-- hold_batches
-- Whoever adds a batch to an account does it alone until the end of the transaction.
UPDATE account SET name = name WHERE account_id = :account_id;

-- repeated_batch
-- The newest batch that the same request has made since a moment.
SELECT job_key, account_id, endpoint, model, input_file_id, completion_window, metadata, request_sha256,
       output_expires_seconds, created_at, errors, usage, in_progress_at, finalizing_at, cancelling_at,
       output_file_id, error_file_id, published_at
  FROM batch
 WHERE account_id = :account_id AND request_sha256 = :request_sha256 AND created_at >= :since
 ORDER BY job_key DESC LIMIT 1;

-- open_batches
-- An account's batches that are not published, up to a number.
SELECT job_key FROM batch WHERE account_id = :account_id AND published_at IS NULL LIMIT :limit;

-- set_batch_errors
-- What was wrong with a batch's input.
UPDATE batch SET errors = :errors WHERE job_key = :job_key;

-- batch_in_progress
-- A batch's input is good.
UPDATE batch SET in_progress_at = :now WHERE job_key = :job_key AND in_progress_at IS NULL;

-- batch_finalizing
-- A batch's answers are there.
UPDATE batch SET finalizing_at = :now WHERE job_key = :job_key AND finalizing_at IS NULL;

-- batch_cancelling
-- Somebody cancelled a batch.
UPDATE batch SET cancelling_at = :now WHERE job_key = :job_key AND cancelling_at IS NULL;

-- claim_batch
-- One batch whose job is over and whose files nobody writes, held by one owner until a moment.
UPDATE batch SET claim_owner = :owner, claim_until = :until
 WHERE published_at IS NULL AND (claim_until <= :now OR claim_owner = :owner) AND job_key = (
       SELECT b.job_key FROM batch AS b CROSS JOIN job AS j
        WHERE b.published_at IS NULL AND b.claim_until <= :now AND j.job_key = b.job_key
          AND j.state IN ('completed', 'failed', 'cancelled', 'expired') AND j.finished_at > 0
          AND j.chunks_planned + j.chunks_open + j.chunks_verifying = 0
        ORDER BY b.claim_until, b.job_key LIMIT 1)
RETURNING job_key, account_id, endpoint, model, input_file_id, completion_window, metadata, request_sha256,
       output_expires_seconds, created_at, errors, usage, in_progress_at, finalizing_at, cancelling_at,
       output_file_id, error_file_id, published_at;

-- renew_batch
-- The holder holds on.
UPDATE batch SET claim_until = :until WHERE job_key = :job_key AND claim_owner = :owner AND published_at IS NULL;

-- publish_batch
-- A batch's files are there.
UPDATE batch SET published_at = :now, output_file_id = :output_file_id, error_file_id = :error_file_id, usage = :usage,
       claim_owner = '', claim_until = 0
 WHERE job_key = :job_key AND claim_owner = :owner AND published_at IS NULL;

-- reopen_batch
-- A batch whose job runs again: its files will be written again, and whoever writes them now writes those of before.
UPDATE batch SET published_at = NULL, output_file_id = NULL, error_file_id = NULL, usage = '', errors = '',
       finalizing_at = NULL, cancelling_at = NULL, claim_owner = '', claim_until = 0
 WHERE job_key = :job_key;

-- delete_batch
-- A batch goes with its job; its files stay.
DELETE FROM batch WHERE job_key = :job_key;

-- add_upload
-- A file that will come in parts.
INSERT INTO upload (upload_id, account_id, state, filename, purpose, mime_type, size_bytes, created_at, expires_at,
                    file_expires_seconds)
VALUES (:upload_id, :account_id, :state, :filename, :purpose, :mime_type, :size_bytes, :created_at, :expires_at,
        :file_expires_seconds);

-- upload
-- One upload.
SELECT upload_id, account_id, state, filename, purpose, mime_type, size_bytes, created_at, expires_at,
       file_expires_seconds, file_id
  FROM upload WHERE upload_id = :upload_id;

-- move_upload
-- An upload's next state, if it is still in the one before.
UPDATE upload SET state = :state, file_id = :file_id WHERE upload_id = :upload_id AND state = :before;

-- late_uploads
-- Uploads that were not completed in time.
SELECT upload_id, account_id, state, filename, purpose, mime_type, size_bytes, created_at, expires_at,
       file_expires_seconds, file_id
  FROM upload WHERE state = 'pending' AND expires_at <= :now ORDER BY expires_at LIMIT :limit;

-- hold_upload
-- An upload that is not over stays so until the end of this transaction.
UPDATE upload SET expires_at = expires_at WHERE upload_id = :upload_id AND state = 'pending';

-- add_upload_part
-- One part of an upload.
INSERT INTO upload_part (part_id, upload_id, artifact_key, size_bytes, created_at)
VALUES (:part_id, :upload_id, :artifact_key, :size_bytes, :created_at);

-- upload_parts
-- The parts of an upload, in order of coming.
SELECT part_id, upload_id, artifact_key, size_bytes, created_at
  FROM upload_part WHERE upload_id = :upload_id ORDER BY created_at, part_id;

-- remove_upload_parts
-- An upload is over: its parts are one file, or nothing.
DELETE FROM upload_part WHERE upload_id = :upload_id;
