-- One evaluation of one plan.
CREATE TABLE runs (
    id          TEXT PRIMARY KEY,           -- first digits of the plan's digest, and an ordinal
    plan_digest TEXT NOT NULL,
    ordinal     INTEGER NOT NULL,           -- the n-th run of this plan
    plan        TEXT NOT NULL,              -- JSON
    personas    TEXT NOT NULL,              -- JSON Lines, as the persona file
    rubric      TEXT NOT NULL,              -- YAML
    created_at  TEXT NOT NULL,              -- UTC
    finished_at TEXT,
    verdict     TEXT,
    invalid     TEXT                        -- why there is no verdict, where all was tried
) STRICT;

-- The ledger of held-out people: which candidates were judged on which pool.
CREATE TABLE looks (
    spec       TEXT NOT NULL,               -- digest of the persona spec
    seed_start INTEGER NOT NULL,            -- the pool: seeds of that spec
    count      INTEGER NOT NULL,
    candidate  TEXT NOT NULL,               -- digest of what the model is
    ordinal    INTEGER NOT NULL,            -- 1 plus the looks of earlier runs at any of these people
    run        TEXT NOT NULL REFERENCES runs (id),
    at         TEXT NOT NULL,               -- UTC
    PRIMARY KEY (spec, seed_start, count, candidate)
) STRICT, WITHOUT ROWID;

-- One reply of one model, stored before it is used. What was said moves to `conversations` when
-- the conversation ends; the counts stay.
CREATE TABLE calls (
    run               TEXT NOT NULL REFERENCES runs (id),
    thread            TEXT NOT NULL,
    role              TEXT NOT NULL,        -- model, simulator, judge
    turn              INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    request           TEXT NOT NULL,        -- digest
    reply             TEXT,                 -- JSON; NULL once moved
    prompt_tokens     INTEGER,
    cached_tokens     INTEGER,
    completion_tokens INTEGER,
    latency_ms        INTEGER NOT NULL,
    model             TEXT,                 -- name in the project; NULL from earlier versions
    reasoning_tokens  INTEGER,
    PRIMARY KEY (run, thread, role, turn, attempt)
) STRICT, WITHOUT ROWID;

-- One conversation that ended.
CREATE TABLE conversations (
    run          TEXT NOT NULL REFERENCES runs (id),
    thread       TEXT NOT NULL,
    conversation TEXT NOT NULL,             -- JSON
    PRIMARY KEY (run, thread)
) STRICT, WITHOUT ROWID;

-- One conversation's scores.
CREATE TABLE scores (
    run    TEXT NOT NULL REFERENCES runs (id),
    thread TEXT NOT NULL,
    score  TEXT NOT NULL,                   -- JSON
    PRIMARY KEY (run, thread)
) STRICT, WITHOUT ROWID;
