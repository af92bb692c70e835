-- Notices: what people are told, and each delivery of it.

-- Written by the transaction that ends a job; the notifier makes a notice of it and removes it.
CREATE TABLE news (
    news_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    job_key INTEGER NOT NULL,
    kind TEXT NOT NULL
) STRICT;

-- dedupe: what it is about, so that the same thing is told once, whoever sees it first. payload: what a webhook gets.
CREATE TABLE notice (
    notice_key INTEGER PRIMARY KEY AUTOINCREMENT,
    notice_id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    payload TEXT NOT NULL,
    dedupe TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    read_at INTEGER
) STRICT;
CREATE INDEX notice_account ON notice (account_id, notice_key);
CREATE INDEX notice_unread ON notice (account_id) WHERE read_at IS NULL;

-- Whether an account wants mail of one kind; without a row, the kind's default holds.
CREATE TABLE notice_choice (
    account_id TEXT NOT NULL REFERENCES account,
    kind TEXT NOT NULL,
    wanted INTEGER NOT NULL CHECK (wanted IN (0, 1)),
    PRIMARY KEY (account_id, kind)
) STRICT, WITHOUT ROWID;

-- events: kinds, separated by spaces. secret: "whsec_..."; an old one is good a while after it was changed.
CREATE TABLE webhook (
    webhook_key INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES account,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_secret_until INTEGER,
    events TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    deleted_at INTEGER
) STRICT;
CREATE INDEX webhook_account ON webhook (account_id, webhook_key) WHERE deleted_at IS NULL;

-- One notice on its way to one place. target: a webhook's id, or an address.
CREATE TABLE delivery (
    delivery_key INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id TEXT NOT NULL UNIQUE,
    notice_key INTEGER NOT NULL REFERENCES notice,
    account_id TEXT NOT NULL REFERENCES account,
    channel TEXT NOT NULL CHECK (channel IN ('email', 'webhook')),
    target TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'failed', 'dropped')),
    tries INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL,
    claim_owner TEXT NOT NULL DEFAULT '',
    claim_until INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    over_at INTEGER,
    UNIQUE (notice_key, channel, target)
) STRICT;
CREATE INDEX delivery_due ON delivery (next_at) WHERE state = 'waiting' OR state = 'sending';
CREATE INDEX delivery_account ON delivery (account_id, delivery_key);

-- What came of each try. status: the HTTP status or SMTP code; 0 when there was no answer.
CREATE TABLE delivery_try (
    delivery_key INTEGER NOT NULL REFERENCES delivery,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    error TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (delivery_key, number)
) STRICT, WITHOUT ROWID;
