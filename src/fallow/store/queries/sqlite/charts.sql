-- Where SQLite has words of its own for what pages show: sets come in as JSON arrays.

-- jobs_found
-- Jobs by submitter, state and words, newest first.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.job_key < :before AND (:account_id = '' OR j.account_id = :account_id)
   AND j.state IN (SELECT value FROM json_each(:states))
   AND (:text = '' OR lower(j.job_id) LIKE :text ESCAPE '!'
        OR lower(coalesce(json_extract(t.spec, '$.name'), '')) LIKE :text ESCAPE '!'
        OR lower(coalesce(json_extract(t.spec, '$.image.reference'), '')) LIKE :text ESCAPE '!')
 ORDER BY j.job_key DESC LIMIT :limit;
