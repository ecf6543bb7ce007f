-- Times are milliseconds since 1970 in UTC. A time that is NULL has not come.

CREATE TABLE decision (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	pattern TEXT NOT NULL,
	verdict TEXT NOT NULL CHECK (verdict IN ('allow', 'block', 'unsure')),
	label TEXT NOT NULL,
	by TEXT NOT NULL,
	at INTEGER NOT NULL,
	note TEXT NOT NULL,
	score REAL,
	model TEXT NOT NULL,
	version TEXT NOT NULL,
	expires INTEGER,
	revoked_by TEXT,
	revoked_at INTEGER
) STRICT;

CREATE INDEX decision_pattern ON decision (pattern, id);

CREATE TRIGGER decision_stays BEFORE DELETE ON decision
BEGIN
	SELECT RAISE(ABORT, 'a decision is never deleted');
END;

CREATE TRIGGER decision_same BEFORE UPDATE ON decision
WHEN OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR
	(OLD.id, OLD.pattern, OLD.verdict, OLD.label, OLD.by, OLD.at, OLD.note, OLD.score, OLD.model, OLD.version, OLD.expires)
	IS NOT
	(NEW.id, NEW.pattern, NEW.verdict, NEW.label, NEW.by, NEW.at, NEW.note, NEW.score, NEW.model, NEW.version, NEW.expires)
BEGIN
	SELECT RAISE(ABORT, 'a decision can only be revoked, and once');
END;

CREATE TABLE finding (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	first INTEGER,
	last INTEGER,
	evidence REAL NOT NULL,
	times INTEGER NOT NULL, -- that the watch told of it
	told INTEGER NOT NULL, -- when it did so last
	finding TEXT NOT NULL, -- watch.Finding as JSON
	closed_by TEXT,
	closed_at INTEGER,
	note TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX finding_open ON finding (kind, subject) WHERE closed_at IS NULL;

CREATE TABLE mute (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	domain TEXT NOT NULL,
	client TEXT NOT NULL,
	kind TEXT NOT NULL,
	reason TEXT NOT NULL,
	until TEXT NOT NULL, -- as it was written
	ends INTEGER NOT NULL,
	by TEXT NOT NULL,
	at INTEGER NOT NULL,
	ended_by TEXT,
	ended_at INTEGER
) STRICT;

CREATE TABLE kept (
	name TEXT PRIMARY KEY,
	by TEXT NOT NULL,
	at INTEGER NOT NULL,
	data BLOB NOT NULL
) STRICT;

CREATE TABLE audit (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	who TEXT NOT NULL,
	what TEXT NOT NULL,
	about TEXT NOT NULL
) STRICT;
