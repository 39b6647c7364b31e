"""The ledger's tables, one numbered step a version; a step that has shipped never changes.

`PRAGMA user_version` holds the number of the last step taken; each step is one transaction.
"""

MIGRATIONS: tuple[str, ...] = (
    # 1: identity, journal and delivery
    """
    -- How far the resolver has read the spool.
    CREATE TABLE resolver (
        cursor INTEGER NOT NULL
    ) STRICT;
    INSERT INTO resolver VALUES (0);

    -- One human, as far as we know.
    CREATE TABLE person (
        id            INTEGER PRIMARY KEY,
        created_at_ms INTEGER NOT NULL
    ) STRICT;

    -- What names a person; in normal form, owned by one person only.
    CREATE TABLE identifier (
        kind    TEXT NOT NULL,
        value   TEXT NOT NULL,
        person  INTEGER NOT NULL,
        level   INTEGER NOT NULL,
        seq     INTEGER NOT NULL,
        PRIMARY KEY (kind, value)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX identifier_person ON identifier (person);

    -- A browser's stretch with at most one person, and what it has answered about consent: what holds now, and
    -- in answers since when each voice has said what.
    CREATE TABLE visitor (
        id            INTEGER PRIMARY KEY,
        browser       BLOB NOT NULL,
        epoch         INTEGER NOT NULL,
        person        INTEGER,
        linked_seq    INTEGER,
        granted       INTEGER,
        denied        INTEGER,
        answer_source TEXT,
        answers       TEXT,
        purchased_seq INTEGER,
        UNIQUE (browser, epoch)
    ) STRICT;

    -- What was decided of each event, in order. fate: 0 goes on, 1 duplicate, 2 damaged.
    CREATE TABLE journal (
        seq            INTEGER PRIMARY KEY,
        key            BLOB NOT NULL,
        visitor        INTEGER,
        granted        INTEGER NOT NULL,
        basis          TEXT NOT NULL,
        fate           INTEGER NOT NULL,
        received_at_ms INTEGER NOT NULL,
        checksum       INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX journal_key ON journal (key);

    -- Order ids that were seen: a second purchase is a duplicate whatever its event id.
    CREATE TABLE purchase (
        order_key BLOB PRIMARY KEY,
        seq       INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- A pipeline's place in the journal. (cursor, taken_to] is on its way right now. What lies up to rendered_to
    -- was rendered before, by revision rendered_by, with what was known at sequence number head. While paused its
    -- events do not grow older. revision is the one that runs, NULL when its file is gone.
    CREATE TABLE pipeline (
        id          INTEGER PRIMARY KEY,
        name        TEXT NOT NULL UNIQUE,
        integration TEXT NOT NULL DEFAULT '',
        revision    INTEGER,
        cursor      INTEGER NOT NULL,
        taken_to    INTEGER NOT NULL DEFAULT 0,
        taken_at_ms INTEGER NOT NULL DEFAULT 0,
        attempts    INTEGER NOT NULL DEFAULT 0,
        alone_to    INTEGER NOT NULL DEFAULT 0,
        head        INTEGER NOT NULL DEFAULT 0,
        rendered_to INTEGER NOT NULL DEFAULT 0,
        rendered_by INTEGER,
        paused      TEXT,
        paused_at_ms  INTEGER,
        resumed_at_ms INTEGER
    ) STRICT;

    -- Every content of a pipeline file that ever delivered. file is its name, without the folder's.
    CREATE TABLE revision (
        id       INTEGER PRIMARY KEY,
        pipeline INTEGER NOT NULL,
        hash     TEXT NOT NULL,
        file     TEXT NOT NULL,
        text     TEXT NOT NULL,
        seen_at_ms INTEGER NOT NULL,
        UNIQUE (pipeline, hash)
    ) STRICT;

    -- One settled page: the fate of every event in [first, last], run-length encoded in order.
    CREATE TABLE page (
        pipeline      INTEGER NOT NULL,
        last          INTEGER NOT NULL,
        first         INTEGER NOT NULL,
        taken_at_ms   INTEGER NOT NULL,
        settled_at_ms INTEGER NOT NULL,
        attempts      INTEGER NOT NULL,
        revision      INTEGER NOT NULL,
        fates         TEXT NOT NULL,
        PRIMARY KEY (pipeline, last)
    ) STRICT, WITHOUT ROWID;

    -- How many events of a pipeline stand at each fate.
    CREATE TABLE tally (
        pipeline INTEGER NOT NULL,
        fate     TEXT NOT NULL,
        events   INTEGER NOT NULL,
        PRIMARY KEY (pipeline, fate)
    ) STRICT, WITHOUT ROWID;

    -- Events of visitors nobody knows yet; they point into the spool.
    CREATE TABLE held (
        pipeline INTEGER NOT NULL,
        visitor  INTEGER NOT NULL,
        seq      INTEGER NOT NULL,
        PRIMARY KEY (pipeline, visitor, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX held_seq ON held (seq);
    CREATE INDEX held_visitor ON held (visitor);

    -- Events that must be sent again, or were released. Only a visitor's first has a due time.
    -- Without a payload the event is rendered from the spool when it is taken; revision is the one that rendered it.
    CREATE TABLE waiting (
        pipeline  INTEGER NOT NULL,
        visitor   INTEGER NOT NULL,
        seq       INTEGER NOT NULL,
        due_at_ms INTEGER,
        since_ms  INTEGER NOT NULL,
        attempts  INTEGER NOT NULL,
        deaths    INTEGER NOT NULL DEFAULT 0,
        time_ms   INTEGER NOT NULL,
        payload   BLOB,
        revision  INTEGER,
        reason    TEXT NOT NULL,
        checksum  INTEGER NOT NULL,
        PRIMARY KEY (pipeline, visitor, seq)
    ) STRICT;
    CREATE INDEX waiting_due ON waiting (pipeline, due_at_ms) WHERE due_at_ms IS NOT NULL;
    CREATE INDEX waiting_unrendered ON waiting (seq) WHERE payload IS NULL;

    -- How an event ended that had been waiting or held.
    CREATE TABLE settled (
        pipeline      INTEGER NOT NULL,
        seq           INTEGER NOT NULL,
        fate          TEXT NOT NULL,
        attempts      INTEGER NOT NULL,
        settled_at_ms INTEGER NOT NULL,
        revision      INTEGER NOT NULL,
        PRIMARY KEY (pipeline, seq)
    ) STRICT, WITHOUT ROWID;

    -- Dead letters, with what was said and answered; credentials masked.
    CREATE TABLE dead (
        pipeline   INTEGER NOT NULL,
        seq        INTEGER NOT NULL,
        visitor    INTEGER NOT NULL,
        event_id   TEXT NOT NULL,
        event_name TEXT NOT NULL,
        died_at_ms INTEGER NOT NULL,
        attempts   INTEGER NOT NULL,
        reason     TEXT NOT NULL,
        request    TEXT NOT NULL,
        response   TEXT NOT NULL,
        payload    BLOB NOT NULL,
        checksum   INTEGER NOT NULL,
        PRIMARY KEY (pipeline, seq)
    ) STRICT;

    -- Every change of an answer about consent; only ever appended to. hash covers the row and the hash before it.
    CREATE TABLE consent_log (
        id       INTEGER PRIMARY KEY,
        at_ms    INTEGER NOT NULL,
        who      BLOB NOT NULL,
        granted  INTEGER NOT NULL,
        denied   INTEGER NOT NULL,
        source   TEXT NOT NULL,
        version  TEXT NOT NULL,
        banner   TEXT NOT NULL,
        digest   BLOB NOT NULL,
        seq      INTEGER NOT NULL,
        previous BLOB NOT NULL,
        hash     BLOB NOT NULL
    ) STRICT;
    CREATE INDEX consent_log_who ON consent_log (who);

    -- The log's last row once more, so that a tail that is cut off is missed.
    CREATE TABLE consent_head (
        rows INTEGER NOT NULL,
        hash BLOB NOT NULL
    ) STRICT;
    INSERT INTO consent_head VALUES (0, zeroblob(32));
    """,
)
