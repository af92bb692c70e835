-- story_of_job
-- The job's own moves, and of its chunks and attempts those that tell of trouble, in the order of writing. The words
-- of trouble are spelled as in the index story_trouble, which SQLite would not see otherwise.
SELECT story_id, at, job_key, chunk_id, attempt_id, from_state, to_state, event, cause, by_whom FROM (
SELECT story_id, at, job_key, chunk_id, attempt_id, from_state, to_state, event, cause, by_whom
  FROM story WHERE job_key = :job_key AND chunk_id IS NULL AND story_id > :after
UNION ALL
SELECT story_id, at, job_key, chunk_id, attempt_id, from_state, to_state, event, cause, by_whom
  FROM story WHERE job_key = :job_key AND chunk_id IS NOT NULL
   AND (to_state = 'errored' OR to_state = 'lost' OR to_state = 'invalid' OR to_state = 'failed'
       OR to_state = 'split') AND story_id > :after) AS told
 ORDER BY story_id LIMIT :limit;

-- story_of_chunk
-- A chunk's moves and its attempts', in the order of writing.
SELECT story_id, at, job_key, chunk_id, attempt_id, from_state, to_state, event, cause, by_whom
  FROM story WHERE job_key = :job_key AND chunk_id = :chunk_id AND story_id > :after ORDER BY story_id LIMIT :limit;

-- first_story
-- The number of a job's birth: none of its rows has a lower one.
SELECT min(story_id) FROM story WHERE job_key = :job_key AND chunk_id IS NULL;

-- events_of_all
-- Every move after a number, in the order of writing.
SELECT story_id, at, job_key, chunk_id, attempt_id, from_state, to_state, event, cause, by_whom
  FROM story WHERE story_id > :after ORDER BY story_id LIMIT :limit;

-- events_of_job
-- Every move of one job after a number. The + 0 keeps the planner on the primary key, which is in order already.
SELECT story_id, at, job_key, chunk_id, attempt_id, from_state, to_state, event, cause, by_whom
  FROM story WHERE job_key + 0 = :job_key AND story_id > :after ORDER BY story_id LIMIT :limit;

-- insert_story
-- Moves, as they were made.
INSERT INTO story (at, job_key, chunk_id, attempt_id, from_state, to_state, event, cause, by_whom)
VALUES (:at, :job_key, :chunk_id, :attempt_id, :from_state, :to_state, :event, :cause, :by_whom);
