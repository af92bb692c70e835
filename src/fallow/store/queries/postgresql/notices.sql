-- Where notices need a lock on PostgreSQL.

-- news
-- What is to be told, oldest first, locked. A batch's end is told once its files are there, or when its input was
-- refused. Differs because two notifiers must not wait for each other.
SELECT n.news_id, n.at, n.job_key, n.kind FROM news AS n
 WHERE NOT EXISTS (SELECT 1 FROM batch AS b
                    WHERE b.job_key = n.job_key AND b.published_at IS NULL AND b.errors IN ('', '[]'))
   AND n.news_id > 0
 ORDER BY n.news_id LIMIT :limit FOR UPDATE OF n SKIP LOCKED;

-- lock_couriers
-- One courier claims at a time. Differs because only a lock makes it so here: two couriers that each lock half of a
-- letter would wait for each other.
SELECT pg_advisory_xact_lock(5, 0);
