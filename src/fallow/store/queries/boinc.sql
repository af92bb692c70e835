-- The BOINC door's users, teams, keys of machines, hosts, results and versions of the runner. Credit is in credit.sql.

-- add_boinc_user
-- An account becomes a BOINC user, unless it is one.
INSERT INTO boinc_user (account_id, key_sha256, cpid, created_at) VALUES (:account_id, :key_sha256, :cpid, :now)
    ON CONFLICT (account_id) DO NOTHING;

-- boinc_user
-- The user that an account is.
SELECT u.user_id, u.account_id, u.key_sha256, u.key_version, u.cpid, u.created_at, u.password, u.team_id, u.listed,
       u.credit_total, u.credit_average, u.credit_at
  FROM boinc_user AS u WHERE u.account_id = :account_id;

-- boinc_user_by_id
-- One user by its number.
SELECT u.user_id, u.account_id, u.key_sha256, u.key_version, u.cpid, u.created_at, u.password, u.team_id, u.listed,
       u.credit_total, u.credit_average, u.credit_at
  FROM boinc_user AS u WHERE u.user_id = :user_id;

-- boinc_user_by_key
-- The user whose key this is.
SELECT u.user_id, u.account_id, u.key_sha256, u.key_version, u.cpid, u.created_at, u.password, u.team_id, u.listed,
       u.credit_total, u.credit_average, u.credit_at
  FROM boinc_user AS u WHERE u.key_sha256 = :key_sha256;

-- save_boinc_user
-- A user's key, password, team and wish to be seen.
UPDATE boinc_user SET key_sha256 = :key_sha256, key_version = :key_version, password = :password, team_id = :team_id,
       listed = :listed WHERE user_id = :user_id;

-- set_standing
-- A user's team and wish to be seen.
UPDATE boinc_user SET team_id = :team_id, listed = :listed WHERE user_id = :user_id;

-- add_team
-- A team, unless there is one of that name.
INSERT INTO boinc_team (name, name_key, account_id, created_at) VALUES (:name, :name_key, :account_id, :now)
    ON CONFLICT (name_key) DO NOTHING RETURNING team_id;

-- team
-- One team by its number.
SELECT t.team_id, t.name, t.name_key, t.account_id, t.created_at, t.credit_total, t.credit_average, t.credit_at
  FROM boinc_team AS t WHERE t.team_id = :team_id;

-- team_by_name
-- One team by its name, as names are compared.
SELECT t.team_id, t.name, t.name_key, t.account_id, t.created_at, t.credit_total, t.credit_average, t.credit_at
  FROM boinc_team AS t WHERE t.name_key = :name_key;

-- add_worker_key
-- A key that is good for one machine.
INSERT INTO boinc_worker_key (key_id, key_sha256, account_id, name, host_id, created_at, revoked_at)
VALUES (:key_id, :key_sha256, :account_id, :name, :host_id, :created_at, :revoked_at);

-- worker_key
-- One machine's key by its digest.
SELECT key_id, key_sha256, account_id, name, created_at, host_id, revoked_at
  FROM boinc_worker_key WHERE key_sha256 = :key_sha256;

-- worker_keys
-- An account's keys of machines, oldest first.
SELECT key_id, key_sha256, account_id, name, created_at, host_id, revoked_at
  FROM boinc_worker_key WHERE account_id = :account_id ORDER BY created_at, key_id;

-- bind_worker_key
-- The first host that uses a key has it for good.
UPDATE boinc_worker_key SET host_id = :host_id
 WHERE key_id = :key_id AND (host_id IS NULL OR host_id = :host_id) AND revoked_at IS NULL;

-- revoke_worker_key
-- A key is good for nothing any more.
UPDATE boinc_worker_key SET revoked_at = :now
 WHERE key_id = :key_id AND account_id = :account_id AND revoked_at IS NULL;

-- add_host
-- A new host, whose worker is named after its number. Hosts are never removed, so the next number is free.
INSERT INTO boinc_host (host_id, worker_id, account_id, generation, cpid, likeness, rpc_seqno, rpc_at, created_at,
                        merged_into, facts, venue, label_said, label_set, label_at, no_engine_count, no_engine_until)
SELECT r.host_id, 'b-' || r.host_id || '.1', :account_id, 1, :cpid, :likeness, :rpc_seqno, :rpc_at, :created_at,
       :merged_into, :facts, :venue, :label_said, :label_set, :label_at, :no_engine_count, :no_engine_until
  FROM (SELECT coalesce(max(host_id), 0) + 1 AS host_id FROM boinc_host) AS r
RETURNING host_id;

-- host
-- One host by its number.
SELECT h.host_id, h.worker_id, h.account_id, h.generation, h.cpid, h.likeness, h.rpc_seqno, h.rpc_at, h.created_at, h.facts,
       h.venue, h.merged_into, h.label_said, h.label_set, h.label_at, h.no_engine_count, h.no_engine_until,
       h.credit_total, h.credit_average, h.credit_at
  FROM boinc_host AS h WHERE h.host_id = :host_id;

-- held_host
-- One host by its number, for who will change it.
SELECT h.host_id, h.worker_id, h.account_id, h.generation, h.cpid, h.likeness, h.rpc_seqno, h.rpc_at, h.created_at, h.facts,
       h.venue, h.merged_into, h.label_said, h.label_set, h.label_at, h.no_engine_count, h.no_engine_until,
       h.credit_total, h.credit_average, h.credit_at
  FROM boinc_host AS h WHERE h.host_id = :host_id;

-- hosts_like
-- An account's hosts of one cross-project id that are not merged, newest first.
SELECT h.host_id, h.worker_id, h.account_id, h.generation, h.cpid, h.likeness, h.rpc_seqno, h.rpc_at, h.created_at, h.facts,
       h.venue, h.merged_into, h.label_said, h.label_set, h.label_at, h.no_engine_count, h.no_engine_until,
       h.credit_total, h.credit_average, h.credit_at
  FROM boinc_host AS h WHERE h.account_id = :account_id AND h.cpid = :cpid AND h.merged_into IS NULL
 ORDER BY h.host_id DESC;

-- hosts_of
-- An account's hosts that are not merged, newest first.
SELECT h.host_id, h.worker_id, h.account_id, h.generation, h.cpid, h.likeness, h.rpc_seqno, h.rpc_at, h.created_at, h.facts,
       h.venue, h.merged_into, h.label_said, h.label_set, h.label_at, h.no_engine_count, h.no_engine_until,
       h.credit_total, h.credit_average, h.credit_at
  FROM boinc_host AS h WHERE h.account_id = :account_id AND h.merged_into IS NULL
 ORDER BY h.host_id DESC LIMIT :limit;

-- save_host
-- What a host says of itself, and what is known of it.
UPDATE boinc_host SET worker_id = :worker_id, generation = :generation, cpid = :cpid, likeness = :likeness,
       rpc_seqno = :rpc_seqno, rpc_at = :rpc_at, merged_into = :merged_into, facts = :facts, venue = :venue,
       label_said = :label_said, label_at = :label_at, no_engine_count = :no_engine_count,
       no_engine_until = :no_engine_until
 WHERE host_id = :host_id;

-- set_host_label
-- What an operator calls a host.
UPDATE boinc_host SET label_set = :label, label_at = :now WHERE host_id = :host_id;

-- touch_host
-- A host called.
UPDATE boinc_host SET rpc_seqno = :rpc_seqno, rpc_at = :now WHERE host_id = :host_id;

-- add_results
-- What a host is sent in one call, in order.
INSERT INTO boinc_result (host_id, worker_id, job_key, attempts, sent_at, deadline, seconds_estimated, state)
SELECT json_extract(r.value, '$.host_id'), json_extract(r.value, '$.worker_id'), json_extract(r.value, '$.job_key'),
       json_extract(r.value, '$.attempts'), json_extract(r.value, '$.sent_at'), json_extract(r.value, '$.deadline'),
       json_extract(r.value, '$.seconds_estimated'), 'sent'
  FROM json_each(:rows) AS r
RETURNING result_id;

-- boinc_result
-- One result.
SELECT result_id, host_id, worker_id, job_key, attempts, sent_at, deadline, seconds_estimated, over_at, exit_status,
       client_state, elapsed_seconds
  FROM boinc_result WHERE result_id = :result_id;

-- boinc_results
-- Several results.
SELECT r.result_id, r.host_id, r.worker_id, r.job_key, r.attempts, r.sent_at, r.deadline, r.seconds_estimated, r.over_at,
       r.exit_status, r.client_state, r.elapsed_seconds
  FROM json_each(:ids) AS i CROSS JOIN boinc_result AS r ON r.result_id = i.value;

-- results_sent
-- What a host holds, oldest first.
SELECT result_id, host_id, worker_id, job_key, attempts, sent_at, deadline, seconds_estimated, over_at, exit_status,
       client_state, elapsed_seconds
  FROM boinc_result WHERE host_id = :host_id AND state = 'sent' ORDER BY result_id;

-- end_results
-- Results are over.
UPDATE boinc_result SET state = 'over', over_at = :over_at, exit_status = :exit_status, client_state = :client_state,
       elapsed_seconds = :elapsed_seconds WHERE result_id = :result_id;

-- move_deadline
-- A result may take longer.
UPDATE boinc_result SET deadline = :deadline WHERE result_id = :result_id;

-- task_chunks
-- Attempts with their chunks, by number.
SELECT a.attempt_id, a.chunk_id, c.item_start, c.item_count, c.extent_start, c.extent_length, c.extent_skip,
       c.extent_sha256, a.state, a.worker_id
  FROM json_each(:ids) AS j
  JOIN attempt AS a ON a.attempt_id = j.value
  JOIN chunk AS c ON c.job_key = a.job_key AND c.chunk_id = a.chunk_id ORDER BY a.attempt_id;

-- keep_upload
-- The answer file of a result that is out; nothing for any other.
INSERT INTO boinc_upload (result_id, data)
SELECT r.result_id, :data FROM boinc_result AS r WHERE r.result_id = :result_id AND r.state = 'sent'
    ON CONFLICT (result_id) DO UPDATE SET data = excluded.data;

-- answer_upload
-- An answer file.
SELECT u.data FROM boinc_upload AS u WHERE u.result_id = :result_id;

-- answer_uploads
-- Several answer files.
SELECT u.result_id, u.data FROM json_each(:ids) AS i CROSS JOIN boinc_upload AS u ON u.result_id = i.value;

-- forget_uploads
-- Their answers are in rows now.
DELETE FROM boinc_upload WHERE result_id IN (SELECT value FROM json_each(:ids));

-- sweep_uploads
-- Answer files of results that are over or gone.
DELETE FROM boinc_upload WHERE result_id IN (
       SELECT u.result_id FROM boinc_upload AS u LEFT JOIN boinc_result AS r ON r.result_id = u.result_id
        WHERE r.result_id IS NULL OR r.state = 'over' ORDER BY u.result_id LIMIT :limit);

-- forget_results
-- Results that were over before a moment are forgotten, longest over first.
DELETE FROM boinc_result WHERE result_id IN (
       SELECT o.result_id FROM boinc_result AS o
        WHERE o.state = 'over' AND o.over_at < :before ORDER BY o.over_at LIMIT :limit);

-- delete_boinc_results
-- Some of a job's results.
DELETE FROM boinc_result WHERE result_id IN (
       SELECT o.result_id FROM boinc_result AS o WHERE o.job_key = :job_key LIMIT :limit);

-- chunk_classes
-- To which classes of machines chunks are kept.
SELECT chunk_id, class FROM chunk_class
 WHERE job_key = :job_key AND chunk_id IN (SELECT value FROM json_each(:ids));

-- set_chunk_classes
-- Chunks are kept to a class of machines.
INSERT INTO chunk_class (job_key, chunk_id, class) VALUES (:job_key, :chunk_id, :class)
    ON CONFLICT (job_key, chunk_id) DO UPDATE SET class = excluded.class;

-- drop_chunk_classes
-- Chunks may go to any class of machines.
DELETE FROM chunk_class WHERE job_key = :job_key AND chunk_id IN (SELECT value FROM json_each(:ids));

-- delete_chunk_classes
-- Some of a job's classes.
DELETE FROM chunk_class WHERE (job_key, chunk_id) IN (
       SELECT job_key, chunk_id FROM chunk_class WHERE job_key = :job_key LIMIT :limit);

-- add_app_version
-- A version of the runner: never two of a number, never two contents under one name.
INSERT INTO boinc_app_version (platform, plan_class, version_num, file_name, artifact_key, sha256, md5, size_bytes,
                               signature, created_at)
SELECT :platform, :plan_class, :version_num, :file_name, :artifact_key, :sha256, :md5, :size_bytes, :signature,
       :created_at
 WHERE NOT EXISTS (SELECT 1 FROM boinc_app_version AS v WHERE v.file_name = :file_name AND v.sha256 <> :sha256)
    ON CONFLICT (platform, plan_class, version_num) DO NOTHING;

-- app_versions
-- The runner's versions, newest first.
SELECT platform, plan_class, version_num, file_name, artifact_key, sha256, md5, size_bytes, created_at, signature
  FROM boinc_app_version ORDER BY created_at DESC, version_num DESC, platform, plan_class;

-- sign_app_version
-- Somebody has signed a file.
UPDATE boinc_app_version SET signature = :signature WHERE file_name = :file_name;
