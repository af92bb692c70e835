-- add_news
-- A job has come to an end; the notifier will tell its submitter.
INSERT INTO news (at, job_key, kind) VALUES (:now, :job_key, :kind);

-- news
-- What is to be told, oldest first. A batch's end is told once its files are there, or when its input was refused.
SELECT n.news_id, n.at, n.job_key, n.kind FROM news AS n
 WHERE NOT EXISTS (SELECT 1 FROM batch AS b
                    WHERE b.job_key = n.job_key AND b.published_at IS NULL AND b.errors IN ('', '[]'))
   AND n.news_id > 0
 ORDER BY n.news_id LIMIT :limit;

-- is_news
-- Whether there is something to tell.
SELECT 1 FROM news AS n
 WHERE NOT EXISTS (SELECT 1 FROM batch AS b
                    WHERE b.job_key = n.job_key AND b.published_at IS NULL AND b.errors IN ('', '[]'))
   AND n.news_id > 0
 LIMIT 1;

-- is_batch
-- Whether a job came by the OpenAI door.
SELECT 1 FROM batch WHERE job_key = :job_key;

-- drop_news
-- It has been told.
DELETE FROM news WHERE news_id = :news_id;

-- add_notice
-- A notice, unless the same thing was told before.
INSERT INTO notice (notice_id, account_id, kind, subject_id, title, body, payload, dedupe, created_at)
VALUES (:notice_id, :account_id, :kind, :subject_id, :title, :body, :payload, :dedupe, :created_at)
    ON CONFLICT (dedupe) DO NOTHING RETURNING notice_key;

-- was_told
-- Whether something was told already.
SELECT 1 FROM notice WHERE dedupe = :dedupe;

-- notice
-- One notice by the id people use.
SELECT notice_id, account_id, kind, subject_id, title, body, payload, dedupe, created_at, read_at, notice_key
  FROM notice WHERE notice_id = :notice_id;

-- notice_by_key
-- One notice by its number.
SELECT notice_id, account_id, kind, subject_id, title, body, payload, dedupe, created_at, read_at, notice_key
  FROM notice WHERE notice_key = :notice_key;

-- notices
-- The notices of an account, newest first. kinds: with a space between them, '' for all.
SELECT notice_id, account_id, kind, subject_id, title, body, payload, dedupe, created_at, read_at, notice_key
  FROM notice
 WHERE account_id = :account_id AND notice_key < :before AND (:unread = 0 OR read_at IS NULL)
   AND (:kinds = '' OR ' ' || :kinds || ' ' LIKE '% ' || kind || ' %')
 ORDER BY notice_key DESC LIMIT :limit;

-- unread_notices
-- How many notices an account has not read.
SELECT count(*) FROM notice WHERE account_id = :account_id AND read_at IS NULL;

-- read_notice
-- One is read; it keeps its first moment.
UPDATE notice SET read_at = coalesce(read_at, :now) WHERE account_id = :account_id AND notice_id = :notice_id;

-- read_notices
-- All are read.
UPDATE notice SET read_at = :now WHERE account_id = :account_id AND read_at IS NULL;

-- old_notices
-- The oldest notices, and when they were made.
SELECT notice_key, created_at FROM notice WHERE notice_key > 0 ORDER BY notice_key LIMIT :limit;

-- forget_tries
-- The tries of a notice's deliveries.
DELETE FROM delivery_try
 WHERE delivery_key IN (SELECT d.delivery_key FROM delivery AS d WHERE d.notice_key = :notice_key);

-- forget_deliveries
-- A notice's deliveries.
DELETE FROM delivery WHERE notice_key = :notice_key;

-- forget_notice
-- The notice itself.
DELETE FROM notice WHERE notice_key = :notice_key;

-- notice_choices
-- What an account has chosen to get mail about, or not.
SELECT kind, wanted FROM notice_choice WHERE account_id = :account_id;

-- set_notice_choice
-- A choice, over an earlier one.
INSERT INTO notice_choice (account_id, kind, wanted) VALUES (:account_id, :kind, :wanted)
    ON CONFLICT (account_id, kind) DO UPDATE SET wanted = excluded.wanted;

-- watching_accounts
-- The accounts of operators.
SELECT account_id FROM account
 WHERE disabled_at IS NULL AND (account_id = 'operators' OR ' ' || scopes || ' ' LIKE '% operate %')
 ORDER BY account_id;

-- addressee
-- Where mail for an account goes.
SELECT account_id, name, email, email_confirmed_at, disabled_at FROM account WHERE account_id = :account_id;

-- confirm_email
-- The address is theirs, if it is still the one they were asked about.
UPDATE account SET email_confirmed_at = :now WHERE account_id = :account_id AND email = :email;

-- add_webhook
-- A place to send notices to, unless it is there.
INSERT INTO webhook (webhook_id, account_id, name, url, secret, events, created_at)
VALUES (:webhook_id, :account_id, :name, :url, :secret, :events, :created_at) ON CONFLICT (webhook_id) DO NOTHING;

-- webhook
-- One webhook.
SELECT webhook_id, account_id, name, url, secret, events, created_at, old_secret, old_secret_until, disabled_at,
       deleted_at, webhook_key
  FROM webhook WHERE webhook_id = :webhook_id AND deleted_at IS NULL;

-- webhooks
-- The webhooks of an account, newest first.
SELECT webhook_id, account_id, name, url, secret, events, created_at, old_secret, old_secret_until, disabled_at,
       deleted_at, webhook_key
  FROM webhook WHERE account_id = :account_id AND deleted_at IS NULL AND webhook_key < :before
 ORDER BY webhook_key DESC LIMIT :limit;

-- save_webhook
-- A webhook's owner, or an answer of 410, changed it; one that was removed stays so.
UPDATE webhook SET name = :name, url = :url, secret = :secret, events = :events, old_secret = :old_secret,
       old_secret_until = :old_secret_until, disabled_at = :disabled_at, deleted_at = :deleted_at
 WHERE webhook_id = :webhook_id AND deleted_at IS NULL;

-- disable_webhook
-- The receiver said that it is gone.
UPDATE webhook SET disabled_at = :now WHERE webhook_id = :webhook_id AND disabled_at IS NULL;

-- add_delivery
-- A notice is on its way to one place.
INSERT INTO delivery (delivery_id, notice_key, account_id, channel, target, state, next_at, created_at)
VALUES (:delivery_id, :notice_key, :account_id, :channel, :target, :state, :next_at, :created_at)
    ON CONFLICT (notice_key, channel, target) DO NOTHING;

-- is_delivery_due
-- Whether something waits to be sent, or was being sent by somebody who died.
SELECT 1 FROM delivery WHERE (state = 'waiting' OR state = 'sending') AND next_at <= :now AND channel = :channel LIMIT 1;

-- lock_couriers
-- One courier claims at a time: a letter is claimed whole. SQLite has one writer anyway.
SELECT 1;

-- due_delivery
-- The delivery that is due longest, of a target that nobody is sending to.
SELECT d.delivery_key, d.target, d.claim_owner, d.account_id FROM delivery AS d
 WHERE (d.state = 'waiting' OR d.state = 'sending') AND d.next_at <= :now AND d.channel = :channel
   AND d.target NOT IN (SELECT o.target FROM delivery AS o
                         WHERE (o.state = 'waiting' OR o.state = 'sending') AND o.next_at > :now
                           AND o.state = 'sending' AND o.channel = :channel)
 ORDER BY d.next_at, d.delivery_key LIMIT 1;

-- delivery_alone
-- One delivery, as the only one in its letter.
SELECT d.delivery_id, d.notice_key, d.account_id, d.channel, d.target, d.state, d.next_at, d.created_at, d.tries,
       d.over_at, d.claim_owner, d.claim_until, d.delivery_key
  FROM delivery AS d WHERE d.delivery_key = :delivery_key;

-- deliveries_of_letter
-- What went out together before, or never did, and is not over; of one account, since an address may have been
-- somebody else's before. The plus keeps SQLite from walking all deliveries in order instead of sorting the few that are
-- due.
SELECT d.delivery_id, d.notice_key, d.account_id, d.channel, d.target, d.state, d.next_at, d.created_at, d.tries,
       d.over_at, d.claim_owner, d.claim_until, d.delivery_key
  FROM delivery AS d
 WHERE (d.state = 'waiting' OR d.state = 'sending') AND d.channel = :channel AND d.target = :target
   AND d.claim_owner = :claim_owner AND d.next_at > 0 AND d.account_id = :account_id
 ORDER BY +d.delivery_key LIMIT :limit;

-- hold_delivery
-- A sender takes it until a moment, if nobody moved it meanwhile.
UPDATE delivery SET state = :state, claim_owner = :claim_owner, claim_until = :until, next_at = :until
 WHERE delivery_key = :delivery_key AND state = :before AND claim_until = :held_until AND tries = :tries;

-- move_delivery
-- A delivery's next state, if nobody moved it meanwhile.
UPDATE delivery SET state = :state, tries = :tries, next_at = :next_at, claim_owner = :claim_owner, claim_until = 0,
       over_at = :over_at
 WHERE delivery_key = :delivery_key AND state = :before AND claim_until = :held_until AND tries = :tries_before;

-- put_off_deliveries
-- Nobody answers there: what waits for it waits longer.
UPDATE delivery SET next_at = :until
 WHERE (state = 'waiting' OR state = 'sending') AND state = 'waiting' AND channel = :channel AND target = :target
   AND next_at < :until;

-- add_try
-- What came of a try.
INSERT INTO delivery_try (delivery_key, number, at, status, error, seconds)
SELECT :delivery_key, coalesce(max(t.number), 0) + 1, :at, :status, :error, :seconds
  FROM delivery_try AS t WHERE t.delivery_key = :delivery_key;

-- tries
-- The tries of a delivery, newest first.
SELECT number, at, status, error, seconds FROM delivery_try WHERE delivery_key = :delivery_key ORDER BY number DESC;

-- delivery
-- One delivery by its id.
SELECT d.delivery_id, d.notice_key, d.account_id, d.channel, d.target, d.state, d.next_at, d.created_at, d.tries,
       d.over_at, d.claim_owner, d.claim_until, d.delivery_key
  FROM delivery AS d WHERE d.delivery_id = :delivery_id;

-- deliveries
-- The deliveries of an account, newest first, with their notices and newest tries.
SELECT d.delivery_id, d.notice_key, d.account_id, d.channel, d.target, d.state, d.next_at, d.created_at, d.tries,
       d.over_at, d.claim_owner, d.claim_until, d.delivery_key,
       n.notice_id, n.account_id, n.kind, n.subject_id, n.title, n.body, n.payload, n.dedupe, n.created_at, n.read_at,
       n.notice_key, t.number, t.at, t.status, t.error, t.seconds
  FROM delivery AS d JOIN notice AS n ON n.notice_key = d.notice_key
  LEFT JOIN delivery_try AS t ON t.delivery_key = d.delivery_key
   AND t.number = (SELECT max(u.number) FROM delivery_try AS u WHERE u.delivery_key = d.delivery_key)
 WHERE d.account_id = :account_id AND d.delivery_key < :before AND (:target = '' OR d.target = :target)
   AND (:notice_key = 0 OR d.notice_key = :notice_key)
 ORDER BY d.delivery_key DESC LIMIT :limit;
