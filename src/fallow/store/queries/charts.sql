-- What pages draw of a job. These walk a job's chunks or attempts, once for each look at a page, and answer with few rows.

-- account_name
-- What an account is called.
SELECT name FROM account WHERE account_id = :account_id;

-- submitters
-- Accounts that have jobs, by name.
SELECT a.account_id, a.name FROM account AS a
 WHERE EXISTS (SELECT 1 FROM job AS j WHERE j.account_id = a.account_id) ORDER BY a.name, a.account_id LIMIT :limit;

-- story_mark
-- The number of the newest move.
SELECT coalesce(max(story_id), 0) FROM story;

-- story_reaches
-- The moment of the first move after a number.
SELECT at FROM story WHERE story_id > :first ORDER BY story_id LIMIT 1;

-- recent_work
-- Chunks and items that were done lately, by job: in the newest rows of the story only. The + 0 keeps the planner on the
-- primary key, which finds those.
SELECT s.job_key + 0, count(*), CAST(sum(c.item_count) AS bigint)
  FROM story AS s JOIN chunk AS c ON c.job_key = s.job_key AND c.chunk_id = s.chunk_id
 WHERE s.story_id > :first AND s.at >= :since AND s.attempt_id IS NULL AND s.to_state = 'done' AND c.state = 'done'
 GROUP BY s.job_key + 0;

-- cell_counts
-- Chunks by cell and state.
SELECT c.chunk_id / :per_cell AS cell, c.state, count(*)
  FROM chunk AS c WHERE c.job_key = :job_key AND c.chunk_id >= :first AND c.chunk_id < :end
 GROUP BY c.chunk_id / :per_cell, c.state;

-- leased_chunks
-- Chunks that workers hold now, found among all that workers hold: those are few. The deadline brings their index in.
SELECT DISTINCT a.chunk_id
  FROM attempt AS a WHERE a.state = 'leased' AND a.deadline > 0 AND a.job_key + 0 = :job_key ORDER BY a.chunk_id;

-- moved_chunks
-- Chunks with a move after a number. The + 0 keeps the planner on the primary key, which is in order already.
SELECT DISTINCT r.chunk_id FROM (
       SELECT s.chunk_id FROM story AS s WHERE s.job_key + 0 = :job_key AND s.story_id > :after
        ORDER BY s.story_id LIMIT :limit) AS r
 WHERE r.chunk_id IS NOT NULL ORDER BY r.chunk_id;

-- cell_runs
-- Who ran a cell's chunks, how long it took, how often it was tried.
SELECT r.chunk_id / :per_cell AS cell, min(r.first_worker), max(r.last_worker), CAST(avg(r.micros) AS bigint),
       max(r.tries)
  FROM (SELECT a.chunk_id, count(*) AS tries,
               min(CASE WHEN a.state IN ('leased', 'reported', 'valid') THEN a.worker_id END) AS first_worker,
               max(CASE WHEN a.state IN ('leased', 'reported', 'valid') THEN a.worker_id END) AS last_worker,
               avg(CASE WHEN a.state IN ('reported', 'valid') THEN a.over_at - a.leased_at END) AS micros
          FROM attempt AS a
         WHERE a.job_key = :job_key AND a.state <> 'queued' AND a.state <> 'dropped'
         GROUP BY a.chunk_id) AS r
 GROUP BY r.chunk_id / :per_cell ORDER BY r.chunk_id / :per_cell;

-- done_spans
-- Done chunks and their items by when the answer came, in equal spans of time.
SELECT (a.over_at - :start) / :micros AS number, count(*), CAST(sum(c.item_count) AS bigint)
  FROM chunk AS c JOIN attempt AS a ON a.attempt_id = c.canonical_id
 WHERE c.job_key = :job_key AND c.state = 'done' AND a.over_at >= :start
 GROUP BY (a.over_at - :start) / :micros ORDER BY (a.over_at - :start) / :micros;

-- done_between
-- When the first and the last answer that counts came.
SELECT min(a.over_at), max(a.over_at)
  FROM chunk AS c JOIN attempt AS a ON a.attempt_id = c.canonical_id
 WHERE c.job_key = :job_key AND c.state = 'done';

-- failure_groups
-- Attempts that went wrong, by how.
SELECT a.failure_class, a.state, a.code, a.message, count(*), count(DISTINCT a.chunk_id), min(a.chunk_id),
       max(a.attempt_id)
  FROM attempt AS a WHERE a.job_key = :job_key AND a.state IN ('errored', 'invalid', 'lost')
 GROUP BY a.failure_class, a.state, a.code, a.message ORDER BY count(*) DESC, max(a.attempt_id) DESC LIMIT :limit;

-- fault_groups
-- Chunks that have failed, by why.
SELECT c.fault_code, c.fault_message, count(*), CAST(sum(c.item_count) AS bigint),
       min(c.chunk_id)
  FROM chunk AS c WHERE c.job_key = :job_key AND c.state IN ('failed', 'cancelled') AND c.fault_code IS NOT NULL
 GROUP BY c.fault_code, c.fault_message ORDER BY count(*) DESC, min(c.chunk_id) LIMIT :limit;
