-- next_chunk_id
-- The first free number of a chunk in this job.
SELECT coalesce(max(chunk_id), -1) + 1 FROM chunk WHERE job_key = :job_key;

-- insert_chunks
-- New chunks.
INSERT INTO chunk (job_key, chunk_id, state, version, item_start, item_count, extent_start, extent_length,
                   extent_skip, extent_sha256, answers_wanted, prior_errors, attempts_after, parent_id,
                   canonical_id, fault_code, fault_message)
VALUES (:job_key, :chunk_id, :state, :version, :item_start, :item_count, :extent_start, :extent_length,
        :extent_skip, :extent_sha256, :answers_wanted, :prior_errors, :attempts_after, :parent_id, :canonical_id,
        :fault_code, :fault_message);

-- chunk
-- One chunk.
SELECT c.job_key, c.chunk_id, c.state, c.version, c.item_start, c.item_count, c.extent_start, c.extent_length,
       c.extent_skip, c.extent_sha256, c.answers_wanted, c.prior_errors, c.attempts_after, c.parent_id,
       c.canonical_id, c.fault_code, c.fault_message
  FROM chunk AS c WHERE c.job_key = :job_key AND c.chunk_id = :chunk_id;

-- update_chunks
-- What a transaction changed of chunks.
UPDATE chunk SET state = :state, version = version + 1, answers_wanted = :answers_wanted,
       canonical_id = :canonical_id,
       fault_code = :fault_code, fault_message = :fault_message, verify_owner = '', verify_until = 0
 WHERE job_key = :job_key AND chunk_id = :chunk_id;

-- planned_chunks
-- Chunks that wait to be opened, lowest item first.
SELECT c.chunk_id, c.answers_wanted
  FROM chunk AS c WHERE c.job_key = :job_key AND c.state = 'planned' ORDER BY c.item_start LIMIT :limit;

-- planned_refs
-- The same, for cancelling.
SELECT c.job_key, c.chunk_id
  FROM chunk AS c WHERE c.job_key = :job_key AND c.state = 'planned' ORDER BY c.item_start LIMIT :limit;

-- started_refs
-- Chunks that are opened and not over. Walks the job's chunks: for cancelling only, where few calls find them all.
SELECT c.job_key, c.chunk_id
  FROM chunk AS c WHERE c.job_key = :job_key AND c.state IN ('open', 'verifying') ORDER BY c.chunk_id LIMIT :limit;

-- undone_refs
-- Failed and cancelled chunks, for running them again.
SELECT c.job_key, c.chunk_id
  FROM chunk AS c WHERE c.job_key = :job_key AND c.state IN ('failed', 'cancelled') ORDER BY c.chunk_id LIMIT :limit;

-- reopen_chunks
-- Failed or cancelled chunks begin anew: older attempts do not count any more.
UPDATE chunk SET state = :state, version = version + 1, answers_wanted = :answers_wanted, prior_errors = 0,
       attempts_after = :attempts_after, canonical_id = NULL, fault_code = NULL, fault_message = NULL
 WHERE job_key = :job_key AND chunk_id = :chunk_id;

-- verifying_refs
-- Chunks that wait for a verifier, longest waiting first.
SELECT c.job_key, c.chunk_id
  FROM chunk AS c WHERE c.state = 'verifying' AND c.verify_until <= :now ORDER BY c.verify_until LIMIT :limit;

-- claim_verifying
-- A verifier takes chunks until a moment.
UPDATE chunk SET verify_owner = :owner, verify_until = :until WHERE job_key = :job_key AND chunk_id = :chunk_id;

-- results
-- Chunks with an answer or a fault, in item order, with the canonical attempt.
SELECT c.chunk_id, c.state, c.item_start, c.item_count, c.fault_code, c.fault_message, a.attempt_id, a.worker_id,
       a.artifact_key, a.artifact_sha256, a.artifact_size_bytes, a.artifact_offset, a.items_root, a.item_errors,
       a.envelope, c.answers_wanted
  FROM chunk AS c LEFT JOIN attempt AS a ON a.attempt_id = c.canonical_id
 WHERE c.job_key = :job_key AND c.state IN ('done', 'failed') AND c.item_start > :after_item
 ORDER BY c.item_start LIMIT :limit;

-- results_from
-- The same from the chunk that holds an item on.
SELECT c.chunk_id, c.state, c.item_start, c.item_count, c.fault_code, c.fault_message, a.attempt_id, a.worker_id,
       a.artifact_key, a.artifact_sha256, a.artifact_size_bytes, a.artifact_offset, a.items_root, a.item_errors,
       a.envelope, c.answers_wanted
  FROM chunk AS c LEFT JOIN attempt AS a ON a.attempt_id = c.canonical_id
 WHERE c.job_key = :job_key AND c.state IN ('done', 'failed') AND c.item_start + c.item_count > :item
   AND c.item_start >= coalesce((SELECT max(b.item_start) FROM chunk AS b WHERE b.job_key = :job_key
       AND b.state IN ('done', 'failed') AND b.item_start <= :item), :item)
 ORDER BY c.item_start LIMIT :limit;
