-- What later versions added to stores of format 1; each statement does nothing where it was done.

-- What was said in calls whose conversation or scores are not there yet, and what judges said whose
-- replies other runs may have; else it stands with the conversation or the scores.
CREATE TABLE IF NOT EXISTS replies (
    run     TEXT NOT NULL REFERENCES runs (id),
    thread  TEXT NOT NULL,
    role    TEXT NOT NULL,
    turn    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    reply   TEXT NOT NULL,                  -- JSON
    PRIMARY KEY (run, thread, role, turn, attempt)
) STRICT, WITHOUT ROWID;

-- Conversations and scores by the digest of all that they follow from: what another run with the same
-- key need not ask for again.
CREATE TABLE IF NOT EXISTS known (
    key    TEXT NOT NULL,
    run    TEXT NOT NULL REFERENCES runs (id),
    thread TEXT NOT NULL,
    PRIMARY KEY (key, run)
) STRICT, WITHOUT ROWID;

-- Who answered calls of a run, by what proves that it is the same model elsewhere: only runs with a
-- speaker in common can answer each other's calls.
CREATE TABLE IF NOT EXISTS speakers (
    run     TEXT NOT NULL REFERENCES runs (id),
    speaker TEXT NOT NULL,                  -- first digits of the identity's digest, as in `calls`
    PRIMARY KEY (run, speaker)
) STRICT, WITHOUT ROWID;

-- Runs that hold a share of their plan's people only.
CREATE TABLE IF NOT EXISTS shards (
    run  TEXT PRIMARY KEY REFERENCES runs (id),
    part INTEGER NOT NULL,                  -- which share, from 1
    of   INTEGER NOT NULL,                  -- how many there are
    done INTEGER NOT NULL DEFAULT 0         -- 1 once all its people have spoken and were scored
) STRICT, WITHOUT ROWID;

-- How models behind servers that other runs may be answered by went on from some prompts: other
-- weights under an old name behave otherwise.
CREATE TABLE IF NOT EXISTS behaviours (
    source TEXT NOT NULL,                   -- digest of what the server tells
    number INTEGER NOT NULL,                -- in order of appearance
    prints TEXT NOT NULL,                   -- JSON
    PRIMARY KEY (source, number)
) STRICT, WITHOUT ROWID;

-- What judges said of a pair of conversations.
CREATE TABLE IF NOT EXISTS pairs (
    run    TEXT NOT NULL REFERENCES runs (id),
    thread TEXT NOT NULL,
    pair   TEXT NOT NULL,                   -- JSON
    PRIMARY KEY (run, thread)
) STRICT, WITHOUT ROWID;

-- What the tokens of a run cost.
CREATE TABLE IF NOT EXISTS prices (
    run    TEXT PRIMARY KEY REFERENCES runs (id),
    prices TEXT NOT NULL                    -- JSON
) STRICT, WITHOUT ROWID;

-- What people said of conversations whose models they did not know.
CREATE TABLE IF NOT EXISTS labels (
    run    TEXT NOT NULL REFERENCES runs (id),
    thread TEXT NOT NULL,
    rater  TEXT NOT NULL,
    label  TEXT NOT NULL,                   -- JSON
    PRIMARY KEY (run, thread, rater)
) STRICT, WITHOUT ROWID;

-- Runs in which a teacher made training data.
CREATE TABLE IF NOT EXISTS generations (
    run           TEXT PRIMARY KEY REFERENCES runs (id),
    rows          INTEGER NOT NULL,         -- of training data
    conversations INTEGER NOT NULL,         -- they were chosen from
    finished_at   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Jobs that run elsewhere and were started from here.
CREATE TABLE IF NOT EXISTS jobs (
    id         TEXT PRIMARY KEY,            -- NAMESPACE/ID
    job        TEXT NOT NULL,               -- JSON
    created_at TEXT NOT NULL
) STRICT;

-- Candidates of loops by the digest of all that their weights follow from.
CREATE TABLE IF NOT EXISTS candidates (
    key              TEXT PRIMARY KEY,
    recipe           TEXT NOT NULL,              -- JSON: the configuration and digests
    training_seconds REAL NOT NULL DEFAULT 0,    -- spent so far, over all processes
    seconds          REAL NOT NULL DEFAULT 0,    -- the same of all steps
    created_at       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What steps of candidates came to.
CREATE TABLE IF NOT EXISTS steps (
    candidate TEXT NOT NULL REFERENCES candidates (key),
    kind      TEXT NOT NULL,                     -- training, conversion, evaluation
    key       TEXT NOT NULL,                     -- digest of what it began with
    result    TEXT NOT NULL,                     -- JSON
    PRIMARY KEY (candidate, kind, key)
) STRICT, WITHOUT ROWID;

-- Which candidate met the people of a confirmation pool: each pool is met once.
CREATE TABLE IF NOT EXISTS confirmations (
    spec         TEXT NOT NULL,                  -- digest of the persona spec
    seed_start   INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    confirmation TEXT NOT NULL,                  -- JSON
    created_at   TEXT NOT NULL,
    PRIMARY KEY (spec, seed_start, count)
) STRICT, WITHOUT ROWID;
