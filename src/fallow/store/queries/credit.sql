-- What volunteers have done and earned.

-- reputations
-- How a worker has done, image by image.
SELECT worker_id, image, quota, valid, invalid, errored, valid_in_row, day, sent_today, seconds_per_item,
       turnaround_seconds
  FROM reputation WHERE worker_id = :worker_id ORDER BY image;

-- save_reputation
-- How a worker has done with an image; how much it was sent today stays as it is.
INSERT INTO reputation (worker_id, image, quota, valid, invalid, errored, valid_in_row, day, sent_today,
                        seconds_per_item, turnaround_seconds)
VALUES (:worker_id, :image, :quota, :valid, :invalid, :errored, :valid_in_row, :day, :sent_today, :seconds_per_item,
        :turnaround_seconds)
    ON CONFLICT (worker_id, image) DO UPDATE SET quota = excluded.quota, valid = excluded.valid,
       invalid = excluded.invalid, errored = excluded.errored, valid_in_row = excluded.valid_in_row,
       seconds_per_item = excluded.seconds_per_item, turnaround_seconds = excluded.turnaround_seconds;

-- reputations_of
-- How workers have done, image by image.
SELECT p.worker_id, p.image, p.quota, p.valid, p.invalid, p.errored, p.valid_in_row, p.day, p.sent_today,
       p.seconds_per_item, p.turnaround_seconds
  FROM json_each(:ids) AS r CROSS JOIN reputation AS p ON p.worker_id = r.value ORDER BY p.worker_id, p.image;

-- count_sent
-- So many more results were sent today.
INSERT INTO reputation (worker_id, image, quota, day, sent_today) VALUES (:worker_id, :image, :quota, :day, :count)
    ON CONFLICT (worker_id, image) DO UPDATE SET day = excluded.day, sent_today = excluded.sent_today
       + CASE WHEN reputation.day = excluded.day THEN reputation.sent_today ELSE 0 END;

-- has_verdicts
-- Whether there is something for the creditor.
SELECT 1 FROM boinc_verdict WHERE verdict_id > 0 LIMIT 1;

-- lock_verdicts
-- Whether nobody else is at the verdicts.
SELECT 1;

-- verdicts
-- Attempts of volunteers that came to an end, oldest first. Those of an erased job have only a number.
SELECT v.verdict_id, v.attempt_id, v.event, a.job_key, a.chunk_id, a.worker_id, a.failure_class, c.item_count,
       a.cpu_seconds, a.leased_at, a.over_at, CASE WHEN v.event = 'agree' THEN a.envelope END, c.answers_wanted
  FROM boinc_verdict AS v LEFT JOIN attempt AS a ON a.attempt_id = v.attempt_id
  LEFT JOIN chunk AS c ON c.job_key = a.job_key AND c.chunk_id = a.chunk_id
 WHERE v.verdict_id > 0 ORDER BY v.verdict_id LIMIT :limit;

-- forget_verdicts
-- They are in the books.
DELETE FROM boinc_verdict WHERE verdict_id IN (SELECT value FROM json_each(:ids));

-- add_credit
-- What attempts earned; one that has earned already keeps that, and is not among the numbers that come back.
INSERT INTO credit (attempt_id, job_key, worker_id, account_id, at, claimed, granted)
SELECT json_extract(r.value, '$.attempt_id'), json_extract(r.value, '$.job_key'),
       json_extract(r.value, '$.worker_id'), json_extract(r.value, '$.account_id'), json_extract(r.value, '$.at'),
       json_extract(r.value, '$.claimed'), json_extract(r.value, '$.granted')
  FROM json_each(:rows) AS r WHERE true
    ON CONFLICT (attempt_id) DO NOTHING
RETURNING attempt_id;

-- credit_of_chunk
-- What a chunk's attempts have earned, oldest first.
SELECT k.attempt_id, k.job_key, k.worker_id, k.account_id, k.at, k.claimed, k.granted
  FROM attempt AS a JOIN credit AS k ON k.attempt_id = a.attempt_id
 WHERE a.job_key = :job_key AND a.chunk_id = :chunk_id ORDER BY k.attempt_id;

-- granted_in
-- What each attempt of chunks was granted.
SELECT a.job_key, a.chunk_id, max(k.granted)
  FROM json_each(:refs) AS r CROSS JOIN attempt AS a ON a.job_key = json_extract(r.value, '$[0]')
   AND a.chunk_id = json_extract(r.value, '$[1]')
  JOIN credit AS k ON k.attempt_id = a.attempt_id
 GROUP BY a.job_key, a.chunk_id;

-- delete_credit
-- Some of what a job's attempts earned; the totals stay.
DELETE FROM credit WHERE attempt_id IN (
       SELECT k.attempt_id FROM credit AS k WHERE k.job_key = :job_key LIMIT :limit);

-- earned_by_hosts
-- What hosts have earned.
SELECT h.host_id, h.credit_total, h.credit_average, h.credit_at
  FROM json_each(:ids) AS r CROSS JOIN boinc_host AS h ON h.host_id = r.value ORDER BY h.host_id;

-- earned_by_users
-- What users have earned, and their teams.
SELECT u.user_id, u.credit_total, u.credit_average, u.credit_at, u.account_id, u.team_id
  FROM json_each(:ids) AS r CROSS JOIN boinc_user AS u ON u.account_id = r.value ORDER BY u.user_id;

-- earned_by_teams
-- What teams have earned.
SELECT t.team_id, t.credit_total, t.credit_average, t.credit_at
  FROM json_each(:ids) AS r CROSS JOIN boinc_team AS t ON t.team_id = r.value ORDER BY t.team_id;

-- set_earned_by_hosts
-- What hosts have earned by now, unless somebody else wrote first.
UPDATE boinc_host SET credit_total = :total, credit_average = :average, credit_at = :at
 WHERE host_id = :number AND credit_at = :was_at AND credit_total = :was_total;

-- set_earned_by_users
-- What users have earned by now, unless somebody else wrote first.
UPDATE boinc_user SET credit_total = :total, credit_average = :average, credit_at = :at
 WHERE user_id = :number AND credit_at = :was_at AND credit_total = :was_total;

-- set_earned_by_teams
-- What teams have earned by now, unless somebody else wrote first.
UPDATE boinc_team SET credit_total = :total, credit_average = :average, credit_at = :at
 WHERE team_id = :number AND credit_at = :was_at AND credit_total = :was_total;

-- hosts_by_id
-- Hosts by number.
SELECT h.host_id, h.worker_id, h.account_id, h.generation, h.cpid, h.likeness, h.rpc_seqno, h.rpc_at, h.created_at, h.facts,
       h.venue, h.merged_into, h.label_said, h.label_set, h.label_at, h.no_engine_count, h.no_engine_until,
       h.credit_total, h.credit_average, h.credit_at
  FROM json_each(:ids) AS r CROSS JOIN boinc_host AS h ON h.host_id = r.value ORDER BY h.host_id;

-- user_leaders
-- Users that are listed, best average first.
SELECT u.user_id, u.account_id, u.key_sha256, u.key_version, u.cpid, u.created_at, u.password, u.team_id, u.listed,
       u.credit_total, u.credit_average, u.credit_at,
       a.name
  FROM boinc_user AS u JOIN account AS a ON a.account_id = u.account_id
 WHERE u.credit_average > 0 AND u.listed = 1 AND a.disabled_at IS NULL
 ORDER BY u.credit_average DESC, u.user_id LIMIT :limit;

-- team_leaders
-- Teams, best average first.
SELECT t.team_id, t.name, t.name_key, t.account_id, t.created_at, t.credit_total, t.credit_average, t.credit_at
  FROM boinc_team AS t WHERE t.credit_average > 0 ORDER BY t.credit_average DESC, t.team_id LIMIT :limit;

-- listed_users
-- Users that are listed and have earned something, by number, with their accounts' names and addresses.
SELECT u.user_id, u.account_id, u.key_sha256, u.key_version, u.cpid, u.created_at, u.password, u.team_id, u.listed,
       u.credit_total, u.credit_average, u.credit_at,
       a.name, a.email
  FROM boinc_user AS u JOIN account AS a ON a.account_id = u.account_id
 WHERE u.user_id > :after AND u.listed = 1 AND u.credit_total > 0 AND a.disabled_at IS NULL
 ORDER BY u.user_id LIMIT :limit;

-- listed_hosts
-- Hosts of users that are listed that have earned something, by number.
SELECT h.host_id, h.worker_id, h.account_id, h.generation, h.cpid, h.likeness, h.rpc_seqno, h.rpc_at, h.created_at, h.facts,
       h.venue, h.merged_into, h.label_said, h.label_set, h.label_at, h.no_engine_count, h.no_engine_until,
       h.credit_total, h.credit_average, h.credit_at,
       u.user_id
  FROM boinc_host AS h JOIN boinc_user AS u ON u.account_id = h.account_id
  JOIN account AS a ON a.account_id = h.account_id
 WHERE h.host_id > :after AND h.merged_into IS NULL AND h.credit_total > 0 AND u.listed = 1 AND a.disabled_at IS NULL
 ORDER BY h.host_id LIMIT :limit;

-- teams_after
-- Teams that have earned something, by number, with how many are in each and their founders that are listed.
SELECT t.team_id, t.name, t.name_key, t.account_id, t.created_at, t.credit_total, t.credit_average, t.credit_at,
       (SELECT count(*) FROM boinc_user AS m WHERE m.team_id = t.team_id), u.user_id,
       CASE WHEN u.user_id IS NULL THEN '' ELSE a.name END
  FROM boinc_team AS t LEFT JOIN boinc_user AS u ON u.account_id = t.account_id AND u.listed = 1
  LEFT JOIN account AS a ON a.account_id = t.account_id
 WHERE t.team_id > :after AND t.credit_total > 0 ORDER BY t.team_id LIMIT :limit;

-- fading_hosts
-- What hosts earned whose averages are of before a moment, by number.
SELECT o.host_id, o.credit_total, o.credit_average, o.credit_at
  FROM boinc_host AS o WHERE o.host_id > :after AND o.credit_average > 0 AND o.credit_at < :before
 ORDER BY o.host_id LIMIT :limit;

-- fading_users
-- What users earned whose averages are of before a moment, by number.
SELECT o.user_id, o.credit_total, o.credit_average, o.credit_at
  FROM boinc_user AS o WHERE o.user_id > :after AND o.credit_average > 0 AND o.credit_at < :before
 ORDER BY o.user_id LIMIT :limit;

-- fading_teams
-- What teams earned whose averages are of before a moment, by number.
SELECT o.team_id, o.credit_total, o.credit_average, o.credit_at
  FROM boinc_team AS o WHERE o.team_id > :after AND o.credit_average > 0 AND o.credit_at < :before
 ORDER BY o.team_id LIMIT :limit;
