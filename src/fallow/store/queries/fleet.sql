-- What workers did: always the newest attempts of one worker by its own index, never more than a bound of them.

-- worker_record
-- How the newest attempts of a worker ended, and the time in which it held at least one of the good ones.
WITH recent AS MATERIALIZED (
    SELECT a.job_key, a.chunk_id, a.state, a.leased_at, a.over_at
      FROM attempt AS a
     WHERE a.worker_id = :worker_id AND a.worker_id IS NOT NULL
       AND a.state IN ('reported', 'valid', 'invalid', 'errored', 'lost') AND a.over_at IS NOT NULL
     ORDER BY a.attempt_id DESC LIMIT :limit),
good AS MATERIALIZED (
    SELECT r.leased_at, r.over_at, r.over_at - r.leased_at AS took, c.item_count,
           max(r.over_at) OVER (ORDER BY r.leased_at, r.over_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busy_until
      FROM recent AS r JOIN chunk AS c ON c.job_key = r.job_key AND c.chunk_id = r.chunk_id
     WHERE r.state IN ('reported', 'valid') AND r.leased_at IS NOT NULL)
SELECT (SELECT count(*) FROM recent),
       (SELECT count(*) FROM recent WHERE state IN ('reported', 'valid')),
       (SELECT count(*) FROM recent WHERE state = 'invalid'),
       (SELECT count(*) FROM recent WHERE state = 'errored'),
       (SELECT count(*) FROM recent WHERE state = 'lost'),
       CAST(coalesce((SELECT sum(item_count) FROM good), 0) AS bigint),
       CAST(coalesce((SELECT sum(CASE WHEN busy_until IS NULL OR busy_until <= leased_at THEN over_at - leased_at
                                      WHEN busy_until < over_at THEN over_at - busy_until ELSE 0 END)
                        FROM good), 0) AS bigint),
       (SELECT took FROM good ORDER BY took LIMIT 1 OFFSET (SELECT count(*) FROM good) / 2);

-- worker_attempts
-- A page of a worker's attempts that it is at or that are over, newest first.
SELECT a.attempt_id, a.job_key, j.job_id, j.account_id, a.chunk_id, a.state, a.leased_at, a.over_at, a.deadline,
       c.item_count, a.item_errors, a.failure_class, a.code, a.message
  FROM attempt AS a JOIN job AS j ON j.job_key = a.job_key
  JOIN chunk AS c ON c.job_key = a.job_key AND c.chunk_id = a.chunk_id
 WHERE a.worker_id = :worker_id AND a.worker_id IS NOT NULL AND a.attempt_id < :before
 ORDER BY a.attempt_id DESC LIMIT :limit;

-- worker_leases
-- What a worker holds, oldest first.
SELECT a.attempt_id, a.job_key, j.job_id, j.account_id, a.chunk_id, a.state, a.leased_at, a.over_at, a.deadline,
       c.item_count, a.item_errors, a.failure_class, a.code, a.message
  FROM attempt AS a JOIN job AS j ON j.job_key = a.job_key
  JOIN chunk AS c ON c.job_key = a.job_key AND c.chunk_id = a.chunk_id
 WHERE a.worker_id = :worker_id AND a.state = 'leased'
 ORDER BY a.attempt_id LIMIT :limit;

-- worker_buckets
-- Items answered and attempts gone wrong in equal spans of time, from a worker's newest attempts.
SELECT r.over_at / :span AS bucket,
       CAST(sum(CASE WHEN r.state IN ('reported', 'valid') THEN c.item_count ELSE 0 END) AS bigint),
       CAST(sum(CASE WHEN r.state IN ('reported', 'valid') THEN 1 ELSE 0 END) AS bigint),
       CAST(sum(CASE WHEN r.state IN ('invalid', 'errored', 'lost') THEN 1 ELSE 0 END) AS bigint)
  FROM (SELECT a.job_key, a.chunk_id, a.state, a.over_at
          FROM attempt AS a
         WHERE a.worker_id = :worker_id AND a.worker_id IS NOT NULL
         ORDER BY a.attempt_id DESC LIMIT :limit) AS r
  JOIN chunk AS c ON c.job_key = r.job_key AND c.chunk_id = r.chunk_id
 WHERE r.over_at >= :since
 GROUP BY r.over_at / :span ORDER BY r.over_at / :span;

-- worker_job_keys
-- The jobs of a worker's newest good attempts, newest first.
SELECT r.job_key, max(r.attempt_id)
  FROM (SELECT a.job_key, a.attempt_id, a.state
          FROM attempt AS a
         WHERE a.worker_id = :worker_id AND a.worker_id IS NOT NULL
         ORDER BY a.attempt_id DESC LIMIT :limit) AS r
 WHERE r.state IN ('reported', 'valid') GROUP BY r.job_key ORDER BY max(r.attempt_id) DESC;

-- hold_worker
-- From when an operator gives a worker nothing new; 0: it gets work again.
UPDATE worker SET held_at = :at WHERE worker_id = :worker_id;
