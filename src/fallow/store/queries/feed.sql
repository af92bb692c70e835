-- insert_feed
-- A job whose input grows.
INSERT INTO feed (job_key, fed_at) VALUES (:job_key, :now);

-- feed
-- How much has come.
SELECT job_key, parts, size_bytes, fed_at, closed_at FROM feed WHERE job_key = :job_key;

-- lock_feed
-- How much has come, and no more until this transaction ends.
SELECT job_key, parts, size_bytes, fed_at, closed_at FROM feed WHERE job_key = :job_key;

-- grow_feed
-- One more part; nothing when it is not the next one, or the feed is closed.
UPDATE feed SET parts = parts + 1, size_bytes = size_bytes + :size_bytes, fed_at = :now
 WHERE job_key = :job_key AND parts = :number AND closed_at IS NULL;

-- insert_feed_part
-- A part, behind all that came before it.
INSERT INTO feed_part (job_key, number, artifact_key, start, size_bytes)
SELECT job_key, :number, :artifact_key, size_bytes - :size_bytes, :size_bytes FROM feed WHERE job_key = :job_key;

-- feed_part
-- One part by its number.
SELECT number, artifact_key, start, size_bytes FROM feed_part WHERE job_key = :job_key AND number = :number;

-- feed_parts
-- Parts in order, from the one that holds a byte on.
SELECT number, artifact_key, start, size_bytes FROM feed_part
 WHERE job_key = :job_key AND start + size_bytes > :position
   AND start >= coalesce((SELECT max(p.start) FROM feed_part AS p
                           WHERE p.job_key = :job_key AND p.start <= :position), 0)
 ORDER BY start LIMIT :limit;

-- close_feed
-- No more will come.
UPDATE feed SET closed_at = :now WHERE job_key = :job_key AND closed_at IS NULL;

-- set_feed_idle
-- Whether all that has come is planned.
UPDATE job SET feed_idle = :idle WHERE job_key = :job_key;

-- delete_feed_parts
-- Some of a feed's parts.
DELETE FROM feed_part WHERE job_key = :job_key AND number IN
       (SELECT p.number FROM feed_part AS p WHERE p.job_key = :job_key ORDER BY p.number LIMIT :limit);

-- delete_feed
-- The feed itself.
DELETE FROM feed WHERE job_key = :job_key;
