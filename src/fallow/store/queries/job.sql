-- insert_job
-- A job is born in planning.
INSERT INTO job (job_id, account_id, state, priority, created_at)
VALUES (:job_id, :account_id, :state, :priority, :now) ON CONFLICT (job_id) DO NOTHING RETURNING job_key;

-- insert_job_text
-- What was asked for, word by word.
INSERT INTO job_text (job_key, spec) VALUES (:job_key, :spec);

-- job_spec
-- What was asked for; never changes.
SELECT spec FROM job_text WHERE job_key = :job_key;

-- job_by_id
-- One job by the name people use.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key WHERE j.job_id = :job_id;

-- job_by_key
-- One job by its number.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key WHERE j.job_key = :job_key;

-- leasable_jobs
-- Jobs that have something to hand out: highest priority first, then oldest.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.leasable = 1 ORDER BY j.priority DESC, j.job_key LIMIT :limit;

-- leasable_jobs_of
-- One account's jobs that have something to hand out: highest priority first, then oldest.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.leasable = 1 AND j.account_id = :account_id ORDER BY j.priority DESC, j.job_key LIMIT :limit;

-- leasable_jobs_for_volunteers
-- The same of those that one account's volunteers may have: the account's own, and others that are for volunteers.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.leasable = 1
   AND (j.account_id = :account_id OR (:others = 1 AND t.spec ->> '$.requirements.volunteers' = 1))
 ORDER BY j.priority DESC, j.job_key LIMIT :limit;

-- lock_job
-- A job's state, locked for this transaction; none of a job that is being erased.
SELECT state, started_at, created_at FROM job WHERE job_key = :job_key AND coalesce(finished_at, 1) <> 0;

-- move_job
-- A job's next state and its moments.
UPDATE job SET state = :state, started_at = :started_at, finished_at = :finished_at WHERE job_key = :job_key;

-- set_reason
-- Why a job ended as it did.
UPDATE job_text SET reason = :reason WHERE job_key = :job_key;

-- retire_job
-- A job that is being erased, if it is over: whoever erases may die half-way, and the janitor goes on.
UPDATE job SET finished_at = 0
 WHERE job_key = :job_key AND state IN ('completed', 'failed', 'cancelled', 'expired');

-- set_output
-- Where the assimilator put a job's output.
UPDATE job_text SET output = :output WHERE job_key = :job_key;

-- counters
-- A job's counters.
SELECT items_total, items_done, items_error, items_failed, chunks_planned, chunks_open, chunks_verifying,
       chunks_done, chunks_failed, chunks_cancelled, chunks_split, attempts_queued, attempts_leased,
       attempts_over, attempts_errored, attempts_lost, attempts_invalid
  FROM job WHERE job_key = :job_key;

-- add_to_counters
-- What a transaction changed of a job's counters.
UPDATE job SET items_total = items_total + :items_total, items_done = items_done + :items_done,
       items_error = items_error + :items_error,
       items_failed = items_failed + :items_failed, chunks_planned = chunks_planned + :chunks_planned,
       chunks_open = chunks_open + :chunks_open,
       chunks_verifying = chunks_verifying + :chunks_verifying, chunks_done = chunks_done + :chunks_done,
       chunks_failed = chunks_failed + :chunks_failed,
       chunks_cancelled = chunks_cancelled + :chunks_cancelled, chunks_split = chunks_split + :chunks_split,
       attempts_queued = attempts_queued + :attempts_queued,
       attempts_leased = attempts_leased + :attempts_leased, attempts_over = attempts_over + :attempts_over,
       attempts_errored = attempts_errored + :attempts_errored,
       attempts_lost = attempts_lost + :attempts_lost, attempts_invalid = attempts_invalid + :attempts_invalid
 WHERE job_key = :job_key;

-- claimable_job
-- One job that needs :what and that nobody else holds; a job whose planner is far ahead of the fleet can wait, and so
-- can a feed of which all is planned.
SELECT j.job_key, j.job_id, j.account_id, j.state, j.created_at, j.started_at, j.finished_at, j.plan_position,
       j.plan_next_item, j.plan_done, j.items_total, j.items_done, j.items_error, j.items_failed, j.chunks_planned,
       j.chunks_open, j.chunks_verifying, j.chunks_done, j.chunks_failed, j.chunks_cancelled, j.chunks_split,
       j.attempts_queued, j.attempts_leased, j.attempts_over, j.attempts_errored, j.attempts_lost,
       j.attempts_invalid, t.plan_memory, t.reason, t.output
  FROM job AS j JOIN job_text AS t ON t.job_key = j.job_key
 WHERE j.need = :what AND j.need <> '' AND (j.claim_owner = :owner OR j.claim_until <= :now)
   AND (j.need <> 'plan' OR (j.feed_idle = 0 AND j.chunks_planned + j.chunks_open + j.chunks_verifying < :plan_ahead))
 ORDER BY j.job_key LIMIT 1;

-- set_claim
-- A job is held by one owner until a moment.
UPDATE job SET claim_owner = :owner, claim_until = :until WHERE job_key = :job_key;

-- renew_claim
-- The holder holds on.
UPDATE job SET claim_until = :until WHERE job_key = :job_key AND claim_owner = :owner;

-- release_claim
-- The holder lets go.
UPDATE job SET claim_owner = '', claim_until = 0 WHERE job_key = :job_key AND claim_owner = :owner;

-- move_cursor
-- How far the planner came; nothing when the claim is somebody else's or the job is over.
UPDATE job SET plan_position = :position, plan_next_item = :next_item, plan_done = :done
 WHERE job_key = :job_key AND claim_owner = :owner
   AND state NOT IN ('merging', 'completed', 'failed', 'cancelled', 'expired');

-- set_plan_memory
-- What the planner must know to go on.
UPDATE job_text SET plan_memory = :memory WHERE job_key = :job_key;

-- delete_job_text
-- The words of a job, when all else of it is gone.
DELETE FROM job_text WHERE job_key = :job_key;

-- delete_job
-- The job itself, at the very end.
DELETE FROM job WHERE job_key = :job_key;
