-- What a worker did lately, newest first. Written once an attempt, when it is leased: the moves after that change none
-- of its columns.
CREATE INDEX attempt_worker ON attempt (worker_id, attempt_id) WHERE worker_id IS NOT NULL;

-- With the state in it, though all of it is 'leased': without statistics SQLite takes whichever index has more of a
-- question's columns, and asked what a worker holds it would walk all that the worker ever did.
DROP INDEX attempt_leased;
CREATE INDEX attempt_leased ON attempt (worker_id, state) WHERE state = 'leased';

-- Since when an operator gives the worker nothing new; 0: it gets work.
ALTER TABLE worker ADD COLUMN held_at INTEGER NOT NULL DEFAULT 0;
