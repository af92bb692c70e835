-- save_worker
-- A worker says who it is; when it joined and how it has failed stay as they are.
INSERT INTO worker (worker_id, account_id, name, label, public_key, capability, session, joined_at, seen_at, failures,
                    backoff_until, leaving)
VALUES (:worker_id, :account_id, :name, :label, :public_key, :capability, :session, :joined_at, :seen_at, :failures,
        :backoff_until, :leaving)
    ON CONFLICT (worker_id) DO UPDATE SET account_id = excluded.account_id, name = excluded.name,
       label = excluded.label, public_key = excluded.public_key, capability = excluded.capability,
       session = excluded.session, seen_at = excluded.seen_at, leaving = excluded.leaving;

-- worker
-- One worker, with how many attempts it holds.
SELECT w.worker_id, w.account_id, w.name, w.label, w.public_key, w.capability, w.session, w.joined_at, w.seen_at,
       w.failures, w.backoff_until, w.leaving,
       (SELECT count(*) FROM attempt AS a WHERE a.worker_id = w.worker_id AND a.state = 'leased'), w.held_at
  FROM worker AS w WHERE w.worker_id = :worker_id;

-- workers
-- Workers heard of after a moment, with how many attempts each holds, in order of joining.
SELECT w.worker_id, w.account_id, w.name, w.label, w.public_key, w.capability, w.session, w.joined_at, w.seen_at,
       w.failures, w.backoff_until, w.leaving,
       (SELECT count(*) FROM attempt AS a WHERE a.worker_id = w.worker_id AND a.state = 'leased'), w.held_at
  FROM worker AS w WHERE w.seen_at > :seen_after ORDER BY w.joined_at, w.worker_id;

-- worker_seen
-- A worker was heard of.
UPDATE worker SET seen_at = :now, leaving = :leaving WHERE worker_id = :worker_id;

-- set_worker_backoff
-- How often a worker failed in a row, and until when it gets nothing.
UPDATE worker SET failures = :failures, backoff_until = :until WHERE worker_id = :worker_id;
