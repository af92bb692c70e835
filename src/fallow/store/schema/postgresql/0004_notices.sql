-- Notices: what people are told, and each delivery of it. The same as on SQLite, with PostgreSQL's types.

-- Written by the transaction that ends a job; the notifier makes a notice of it and removes it.
CREATE TABLE news (
    news_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    job_key bigint NOT NULL,
    kind text NOT NULL
);

-- dedupe: what it is about, so that the same thing is told once, whoever sees it first. payload: what a webhook gets.
CREATE TABLE notice (
    notice_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notice_id text NOT NULL UNIQUE,
    account_id text NOT NULL REFERENCES account,
    kind text NOT NULL,
    subject_id text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    payload text NOT NULL,
    dedupe text NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    read_at bigint
);
CREATE INDEX notice_account ON notice (account_id, notice_key);
CREATE INDEX notice_unread ON notice (account_id) WHERE read_at IS NULL;

-- Whether an account wants mail of one kind; without a row, the kind's default holds.
CREATE TABLE notice_choice (
    account_id text NOT NULL REFERENCES account,
    kind text NOT NULL,
    wanted bigint NOT NULL CHECK (wanted IN (0, 1)),
    PRIMARY KEY (account_id, kind)
);

-- events: kinds, separated by spaces. secret: "whsec_..."; an old one is good a while after it was changed.
CREATE TABLE webhook (
    webhook_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id text NOT NULL UNIQUE,
    account_id text NOT NULL REFERENCES account,
    name text NOT NULL,
    url text NOT NULL,
    secret text NOT NULL,
    old_secret text,
    old_secret_until bigint,
    events text NOT NULL,
    created_at bigint NOT NULL,
    disabled_at bigint,
    deleted_at bigint
);
CREATE INDEX webhook_account ON webhook (account_id, webhook_key) WHERE deleted_at IS NULL;

-- One notice on its way to one place. target: a webhook's id, or an address.
CREATE TABLE delivery (
    delivery_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id text NOT NULL UNIQUE,
    notice_key bigint NOT NULL REFERENCES notice,
    account_id text NOT NULL REFERENCES account,
    channel text NOT NULL CHECK (channel IN ('email', 'webhook')),
    target text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'failed', 'dropped')),
    tries bigint NOT NULL DEFAULT 0,
    next_at bigint NOT NULL,
    claim_owner text NOT NULL DEFAULT '',
    claim_until bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    over_at bigint,
    UNIQUE (notice_key, channel, target)
);
CREATE INDEX delivery_due ON delivery (next_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX delivery_account ON delivery (account_id, delivery_key);

-- What came of each try. status: the HTTP status or SMTP code; 0 when there was no answer.
CREATE TABLE delivery_try (
    delivery_key bigint NOT NULL REFERENCES delivery,
    number bigint NOT NULL,
    at bigint NOT NULL,
    status bigint NOT NULL,
    error text NOT NULL,
    seconds double precision NOT NULL,
    PRIMARY KEY (delivery_key, number)
);
