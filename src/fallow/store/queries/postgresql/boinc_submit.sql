-- add_boinc_jobs
-- The jobs of a batch. Differs because a set is one JSON array of objects here.
INSERT INTO boinc_job (account_id, batch_id, place, name, outputs)
SELECT r.account_id, r.batch_id, r.place, r.name, r.outputs
  FROM json_to_recordset(:rows::json) AS r(account_id text, batch_id bigint, place bigint, name text, outputs text);

-- taken_boinc_names
-- Which of the names an account's jobs have already. Differs because JSON is read in other words here.
SELECT name FROM boinc_job WHERE account_id = :account_id AND name = ANY(ARRAY(SELECT json_array_elements_text(:names::json)));

-- boinc_jobs_named
-- Jobs of a name: everybody's, or one account's. Differs because a parameter needs its type here.
SELECT boinc_job_id, account_id, batch_id, place, name, outputs, aborted_at, final
  FROM boinc_job WHERE name = :name AND (:account_id::text = '' OR account_id = :account_id::text) LIMIT :limit;

-- boinc_job_files
-- Those of the files that an account has staged. Differs because JSON is read in other words here.
SELECT account_id, name, artifact_key, sha256, size_bytes, created_at, delete_at
  FROM boinc_job_file WHERE account_id = :account_id AND name = ANY(ARRAY(SELECT json_array_elements_text(:names::json)));

-- keep_boinc_job_files
-- Files are kept until then, or longer. Differs because JSON is read in other words here.
UPDATE boinc_job_file SET delete_at = :delete_at
 WHERE account_id = :account_id AND name = ANY(ARRAY(SELECT json_array_elements_text(:names::json)))
   AND delete_at > 0 AND (:delete_at::bigint = 0 OR delete_at < :delete_at::bigint);

-- set_boinc_job_final
-- How jobs stood when their batch was retired. Differs because a set is one statement here.
UPDATE boinc_job AS j SET final = r.final, abort_due = 0
  FROM json_to_recordset(:rows::json) AS r(final text, boinc_job_id bigint)
 WHERE j.boinc_job_id = r.boinc_job_id;
