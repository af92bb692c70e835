-- new_account
-- An account of a person; nothing when its id or its e-mail address is taken.
INSERT INTO account (account_id, name, created_at, scopes, email, email_confirmed_at, password, share, submit_right,
                     disabled_at)
VALUES (:account_id, :name, :created_at, :scopes, :email, :email_confirmed_at, :password, :share, :submit_right,
        :disabled_at)
    ON CONFLICT DO NOTHING;

-- account
-- One account.
SELECT account_id, name, created_at, scopes, email, email_confirmed_at, password, share, used, used_at, submit_right,
       disabled_at
  FROM account WHERE account_id = :account_id;

-- account_by_email
-- The account that signs in with an e-mail address.
SELECT account_id, name, created_at, scopes, email, email_confirmed_at, password, share, used, used_at, submit_right,
       disabled_at
  FROM account WHERE email = :email;

-- accounts
-- Accounts in the order of their ids.
SELECT account_id, name, created_at, scopes, email, email_confirmed_at, password, share, used, used_at, submit_right,
       disabled_at
  FROM account WHERE account_id > :after ORDER BY account_id LIMIT :limit;

-- save_account
-- What may be changed of an account; nothing when another one has its e-mail address.
UPDATE account SET name = :name, scopes = :scopes, email = :email, email_confirmed_at = :email_confirmed_at,
       share = :share, submit_right = :submit_right, disabled_at = :disabled_at
 WHERE account_id = :account_id
   AND NOT EXISTS (SELECT 1 FROM account AS other WHERE other.email = :email AND other.account_id <> :account_id);

-- set_password
-- The new password; its digest, that is.
UPDATE account SET password = :password WHERE account_id = :account_id;

-- shares
-- Who is entitled to how much, and had how much.
SELECT account_id, share, used, used_at FROM account WHERE used > 0 OR share <> 1;

-- account_used
-- What an account has used; locked for this transaction.
SELECT used, used_at FROM account WHERE account_id = :account_id;

-- set_account_used
-- What an account has used, as of now.
UPDATE account SET used = :used, used_at = :now WHERE account_id = :account_id;

-- leasable_accounts
-- Accounts with a job that has something to hand out: one step in the index for each of them, not for each job.
WITH RECURSIVE who(account_id) AS (
    SELECT min(account_id) FROM job WHERE leasable = 1
     UNION ALL
    SELECT (SELECT min(j.account_id) FROM job AS j WHERE j.leasable = 1 AND j.account_id > who.account_id)
      FROM who WHERE who.account_id IS NOT NULL)
SELECT account_id FROM who WHERE account_id IS NOT NULL;

-- identity
-- Whose account a subject of an identity provider is.
SELECT account_id FROM identity WHERE issuer = :issuer AND subject = :subject;

-- add_identity
-- A subject of an identity provider is this account from now on.
INSERT INTO identity (issuer, subject, account_id, created_at) VALUES (:issuer, :subject, :account_id, :now);

-- grants
-- The applications that an account may submit for.
SELECT account_id, application, granted_by, granted_at
  FROM application_grant WHERE account_id = :account_id ORDER BY application;

-- all_grants
-- Everybody's grants.
SELECT account_id, application, granted_by, granted_at FROM application_grant ORDER BY account_id, application;

-- add_grant
-- One more application, unless it is granted already.
INSERT INTO application_grant (account_id, application, granted_by, granted_at)
VALUES (:account_id, :application, :granted_by, :granted_at) ON CONFLICT DO NOTHING;

-- remove_grant
-- One application less.
DELETE FROM application_grant WHERE account_id = :account_id AND application = :application;

-- add_session
-- A browser has signed in.
INSERT INTO session (session_id, account_id, key_id, csrf_secret, agent, created_at, seen_at, expires_at)
VALUES (:session_id, :account_id, :key_id, :csrf_secret, :agent, :created_at, :seen_at, :expires_at);

-- session
-- One session.
SELECT session_id, account_id, key_id, csrf_secret, agent, created_at, seen_at, expires_at
  FROM session WHERE session_id = :session_id;

-- sessions
-- An account's sessions, newest first.
SELECT session_id, account_id, key_id, csrf_secret, agent, created_at, seen_at, expires_at
  FROM session WHERE account_id = :account_id ORDER BY created_at DESC, session_id;

-- session_seen
-- A session is being used.
UPDATE session SET seen_at = :now WHERE session_id = :session_id;

-- end_session
-- Signed out.
DELETE FROM session WHERE session_id = :session_id;

-- end_sessions
-- Signed out everywhere, but perhaps here.
DELETE FROM session WHERE account_id = :account_id AND session_id <> :but;

-- forget_sessions
-- Sessions that nobody can use any more.
DELETE FROM session WHERE expires_at <= :now;

-- count_signin
-- One more try to sign in; no row while it is blocked.
INSERT INTO signin_failure (name, failures, at, blocked_until) VALUES (:name, 1, :now, 0)
    ON CONFLICT (name) DO UPDATE SET failures = signin_failure.failures + 1, at = excluded.at
 WHERE signin_failure.blocked_until <= excluded.at RETURNING failures;

-- block_signin
-- No more tries before a moment.
UPDATE signin_failure SET blocked_until = :until WHERE name = :name;

-- signin_failure
-- How the tries of one name stand.
SELECT name, failures, at, blocked_until FROM signin_failure WHERE name = :name;

-- forgive_signin
-- So many tries are taken back.
UPDATE signin_failure SET failures = failures - :tries, blocked_until = 0 WHERE name = :name;

-- drop_forgiven
-- A name without failures is not remembered.
DELETE FROM signin_failure WHERE name = :name AND failures <= 0;

-- forget_signins
-- Failures of long ago.
DELETE FROM signin_failure WHERE at < :before AND blocked_until < :before;
