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

    -- One human, as far as we know; founder is the browser that it began with.
    CREATE TABLE person (
        id            INTEGER PRIMARY KEY,
        created_at_ms INTEGER NOT NULL,
        founder       BLOB NOT NULL DEFAULT x''
    ) STRICT;

    -- What names a person, in normal form, from event seq on, and where it has ended until before event until_seq.
    -- A value is one person's at a time. session may still correct it, while no other visitor has claimed it.
    CREATE TABLE identifier (
        kind      TEXT NOT NULL,
        value     TEXT NOT NULL,
        person    INTEGER NOT NULL,
        level     INTEGER NOT NULL,
        seq       INTEGER NOT NULL,
        session   BLOB,
        until_seq INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX identifier_now ON identifier (kind, value) WHERE until_seq IS NULL;
    CREATE INDEX identifier_person ON identifier (person);

    -- Persons that are one since event seq, on evidence of a level; taken back by hand at undone_seq.
    CREATE TABLE alias (
        person     INTEGER NOT NULL,
        canonical  INTEGER NOT NULL,
        level      INTEGER NOT NULL,
        seq        INTEGER NOT NULL,
        at_ms      INTEGER NOT NULL,
        undone_seq INTEGER,
        PRIMARY KEY (person, canonical, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX alias_canonical ON alias (canonical);

    -- A browser's stretch with at most one person, its latest sessions (8 bytes each), and what it has answered about
    -- consent: what holds now, and in answers since when each voice has said what.
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
        sessions      BLOB NOT NULL DEFAULT x'',
        UNIQUE (browser, epoch)
    ) STRICT;
    -- For what a person's browsers are known by, which servers' events are given, and what is held of those events.
    CREATE INDEX visitor_person ON visitor (person, id) WHERE person IS NOT NULL;
    -- For what a person answered: servers' events about it ask.
    CREATE INDEX visitor_answered ON visitor (person) WHERE person IS NOT NULL AND answer_source IS NOT NULL;

    -- What a vendor knows a visitor by and names nobody here, the newest last; at_ms says since when it is as old as it
    -- is. kx is a click token of Klaviyo's mails; device is what a known visitor's browser was seen with.
    CREATE TABLE vendor_id (
        visitor INTEGER NOT NULL,
        kind    TEXT NOT NULL,
        seq     INTEGER NOT NULL,
        value   TEXT NOT NULL,
        at_ms   INTEGER NOT NULL,
        PRIMARY KEY (visitor, kind, seq)
    ) STRICT, WITHOUT ROWID;

    -- Which browser's claims became links on which day (UTC, since 1970), for the limits against poisoning.
    CREATE TABLE claim (
        browser BLOB NOT NULL,
        kind    TEXT NOT NULL,
        day     INTEGER NOT NULL,
        value   TEXT NOT NULL,
        PRIMARY KEY (browser, kind, day, value)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX claim_value ON claim (kind, value, day);
    CREATE INDEX claim_day ON claim (day);

    -- Claims over those limits, which became no link; the newest ones.
    CREATE TABLE quarantine (
        seq     INTEGER NOT NULL,
        visitor INTEGER NOT NULL,
        kind    TEXT NOT NULL,
        value   TEXT NOT NULL,
        reason  TEXT NOT NULL,
        PRIMARY KEY (seq, kind)
    ) STRICT, WITHOUT ROWID;

    -- What was decided of each event, in order; waits are the purposes left to the visitor's answer, as a mask.
    -- fate: 0 goes on, 1 duplicate, 2 damaged, 3 erased. is_server: a server told it, so its person's answers count.
    CREATE TABLE journal (
        seq            INTEGER PRIMARY KEY,
        key            BLOB NOT NULL,
        visitor        INTEGER,
        granted        INTEGER NOT NULL,
        waits          INTEGER NOT NULL,
        basis          TEXT NOT NULL,
        fate           INTEGER NOT NULL,
        is_server      INTEGER NOT NULL,
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
    -- events do not grow older. revision is the one that runs, NULL when its file is gone. Then what it says that
    -- releasing goes by; by_click: a visitor's click token is enough for it. After a change of these every visitor with
    -- held events is looked at once more, from swept_to on. began is
    -- where its cursor was at first.
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
        by_click    INTEGER NOT NULL DEFAULT 0,
        anonymous   TEXT NOT NULL DEFAULT 'hold',
        purposes    INTEGER NOT NULL DEFAULT 0,
        is_enabled  INTEGER NOT NULL DEFAULT 1,
        fresh_ms    INTEGER NOT NULL DEFAULT 0,
        swept_to    INTEGER,
        began       INTEGER NOT NULL DEFAULT 0
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

    -- Events of visitors nobody knows yet, or whose consent nobody knows: waits are those purposes. And what came
    -- behind such events of its visitor. They point into the spool.
    CREATE TABLE held (
        pipeline INTEGER NOT NULL,
        visitor  INTEGER NOT NULL,
        seq      INTEGER NOT NULL,
        waits    INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (pipeline, visitor, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX held_seq ON held (pipeline, seq);
    CREATE INDEX held_visitor ON held (visitor);
    CREATE INDEX held_waits ON held (pipeline, seq) WHERE waits <> 0;

    -- Events that must be sent again, or were released. Only a visitor's first has a due time. Live ones go first.
    -- Without a payload the event is rendered from the spool when it is taken; revision is the one that rendered it,
    -- told the purposes that were granted then. alone: the vendor may have it already, from a request whose outcome is
    -- unknown; no request has it with others.
    CREATE TABLE waiting (
        pipeline  INTEGER NOT NULL,
        visitor   INTEGER NOT NULL,
        seq       INTEGER NOT NULL,
        due_at_ms INTEGER,
        since_ms  INTEGER NOT NULL,
        attempts  INTEGER NOT NULL,
        deaths    INTEGER NOT NULL DEFAULT 0,
        alone     INTEGER NOT NULL DEFAULT 0,
        time_ms   INTEGER NOT NULL,
        payload   BLOB,
        revision  INTEGER,
        reason    TEXT NOT NULL,
        checksum  INTEGER NOT NULL,
        is_live   INTEGER NOT NULL DEFAULT 1,
        told      INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (pipeline, visitor, seq)
    ) STRICT;
    CREATE INDEX waiting_due ON waiting (pipeline, is_live, due_at_ms) WHERE due_at_ms IS NOT NULL;
    CREATE INDEX waiting_head ON waiting (pipeline, visitor, seq) WHERE due_at_ms IS NOT NULL;
    CREATE INDEX waiting_unrendered ON waiting (seq) WHERE payload IS NULL;

    -- How an event ended that had been waiting or held.
    CREATE TABLE settled (
        pipeline      INTEGER NOT NULL,
        seq           INTEGER NOT NULL,
        fate          TEXT NOT NULL,
        attempts      INTEGER NOT NULL,
        settled_at_ms INTEGER NOT NULL,
        revision      INTEGER NOT NULL,
        reason        TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (pipeline, seq)
    ) STRICT, WITHOUT ROWID;

    -- Dead letters, with what was said and answered; credentials masked. Of the payload: time_ms is its event's,
    -- told the purposes that were granted when it was rendered.
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
        time_ms    INTEGER NOT NULL DEFAULT 0,
        told       INTEGER NOT NULL DEFAULT 0,
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

    -- Visitors whose held events may go, and are too many for one transaction. What was accepted before from_ms is too
    -- old to become the person's.
    CREATE TABLE releasing (
        pipeline INTEGER NOT NULL,
        visitor  INTEGER NOT NULL,
        from_ms  INTEGER NOT NULL,
        PRIMARY KEY (pipeline, visitor)
    ) STRICT, WITHOUT ROWID;

    -- Strangers of whom a pipeline has sent events under an id of theirs; at joined_seq the vendor was told who it is.
    CREATE TABLE stranger (
        pipeline   INTEGER NOT NULL,
        visitor    INTEGER NOT NULL,
        joined_seq INTEGER,
        PRIMARY KEY (pipeline, visitor)
    ) STRICT, WITHOUT ROWID;

    -- Erasures: how far each is, and what files still hold something of it (JSON: file, why, until when).
    CREATE TABLE erasure (
        id          INTEGER PRIMARY KEY,
        asked_at_ms INTEGER NOT NULL,
        state       TEXT NOT NULL,
        sealed_to   INTEGER,
        persons     INTEGER NOT NULL,
        visitors    INTEGER NOT NULL,
        identifiers INTEGER NOT NULL,
        events      INTEGER NOT NULL DEFAULT 0,
        deliveries  INTEGER NOT NULL DEFAULT 0,
        left_over   TEXT NOT NULL DEFAULT '[]',
        done_at_ms  INTEGER
    ) STRICT;

    -- What an erasure looks for in the spool; gone as soon as that is found.
    CREATE TABLE erasure_name (
        erasure INTEGER NOT NULL,
        kind    TEXT NOT NULL,
        value   TEXT NOT NULL,
        PRIMARY KEY (erasure, kind, value)
    ) STRICT, WITHOUT ROWID;

    -- Numbers whose bodies the spool must still lose; erasure NULL: they came after it.
    CREATE TABLE erasing (
        seq     INTEGER PRIMARY KEY,
        erasure INTEGER
    ) STRICT;

    -- Keyed hashes of who was erased until when, so that nothing late brings anybody back.
    CREATE TABLE tombstone (
        hash  BLOB PRIMARY KEY,
        at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- What vendors are asked to erase; value stays until they have answered for good. state: open, done, refused.
    CREATE TABLE vendor_erasure (
        id        INTEGER PRIMARY KEY,
        erasure   INTEGER NOT NULL,
        pipeline  TEXT NOT NULL,
        kind      TEXT NOT NULL,
        value     TEXT,
        state     TEXT NOT NULL,
        attempts  INTEGER NOT NULL,
        since_ms  INTEGER NOT NULL,
        due_at_ms INTEGER NOT NULL,
        reason    TEXT NOT NULL
    ) STRICT;

    -- For the oldest that waits, and for what waits of a span.
    CREATE INDEX waiting_seq ON waiting (pipeline, seq);

    -- For choosing letters.
    CREATE INDEX dead_died ON dead (pipeline, died_at_ms);
    CREATE INDEX dead_event ON dead (event_id);

    -- What is to go through a pipeline again: dead letters, or stored events of a span. cursor: up to where they were
    -- looked at. wanted, outcomes and left_out are JSON.
    CREATE TABLE replay (
        id          INTEGER PRIMARY KEY,
        pipeline    INTEGER NOT NULL,
        kind        TEXT NOT NULL,
        wanted      TEXT NOT NULL,
        asked_at_ms INTEGER NOT NULL,
        cursor      INTEGER NOT NULL,
        last        INTEGER NOT NULL,
        chosen      INTEGER NOT NULL DEFAULT 0,
        anew        INTEGER NOT NULL DEFAULT 0,
        outcomes    TEXT NOT NULL DEFAULT '{}',
        left_out    TEXT NOT NULL DEFAULT '{}',
        done_at_ms  INTEGER
    ) STRICT;
    CREATE INDEX replay_open ON replay (id) WHERE done_at_ms IS NULL;

    -- The events of a replay that are on their way.
    CREATE TABLE replaying (
        replay  INTEGER NOT NULL,
        visitor INTEGER NOT NULL,
        seq     INTEGER NOT NULL,
        PRIMARY KEY (replay, seq)
    ) STRICT, WITHOUT ROWID;

    -- Requests that a vendor took and has yet to judge, by its own names for them: to be asked about at due_at_ms, and
    -- no more from until_ms on. attempts: how often in a row there was no answer.
    CREATE TABLE receipt (
        id        INTEGER PRIMARY KEY,
        pipeline  INTEGER NOT NULL,
        name      TEXT NOT NULL,
        events    INTEGER NOT NULL,
        since_ms  INTEGER NOT NULL,
        due_at_ms INTEGER NOT NULL,
        until_ms  INTEGER NOT NULL,
        attempts  INTEGER NOT NULL DEFAULT 0,
        UNIQUE (pipeline, name)
    ) STRICT;
    CREATE INDEX receipt_due ON receipt (pipeline, due_at_ms);

    -- What vendors said of delivered events afterwards, by the hour (since 1970) of their delivery.
    CREATE TABLE told_later (
        pipeline INTEGER NOT NULL,
        hour     INTEGER NOT NULL,
        verdict  TEXT NOT NULL,
        reason   TEXT NOT NULL,
        events   INTEGER NOT NULL,
        PRIMARY KEY (pipeline, hour, verdict, reason)
    ) STRICT, WITHOUT ROWID;

    -- When a pipeline's credentials were refused before, the newest ones: its events did not grow older meanwhile.
    CREATE TABLE pause (
        pipeline INTEGER NOT NULL,
        from_ms  INTEGER NOT NULL,
        to_ms    INTEGER NOT NULL,
        PRIMARY KEY (pipeline, from_ms)
    ) STRICT, WITHOUT ROWID;
    """,
)
