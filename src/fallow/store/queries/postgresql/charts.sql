-- Where PostgreSQL has words of its own for what pages show.

-- jobs_found
-- Jobs by submitter, state and words, newest first. Words with a NUL cannot be taken out of JSON and are not looked at.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.job_key < :before AND (:account_id::text = '' OR j.account_id = :account_id::text)
   AND j.state = ANY(:states::text[])
   AND (:text::text = '' OR lower(j.job_id) LIKE :text::text ESCAPE '!'
        OR CASE WHEN strpos(t.spec, '\u0000') > 0 THEN FALSE
           ELSE lower(coalesce(t.spec::json ->> 'name', '')) LIKE :text::text ESCAPE '!'
                OR lower(coalesce(t.spec::json -> 'image' ->> 'reference', '')) LIKE :text::text ESCAPE '!' END)
 ORDER BY j.job_key DESC LIMIT :limit;
