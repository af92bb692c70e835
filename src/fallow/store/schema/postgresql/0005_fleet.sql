-- What a worker did lately, newest first.
CREATE INDEX attempt_worker ON attempt (worker_id, attempt_id) WHERE worker_id IS NOT NULL;

-- Since when an operator gives the worker nothing new; 0: it gets work.
ALTER TABLE worker ADD COLUMN held_at bigint NOT NULL DEFAULT 0;
