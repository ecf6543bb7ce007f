-- People who may log in to the console.

CREATE TABLE person (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	key TEXT NOT NULL UNIQUE, -- the name as it is compared
	name TEXT NOT NULL,
	role TEXT NOT NULL CHECK (role IN ('viewer', 'vetter', 'admin')),
	hash TEXT NOT NULL, -- of the password, in the PHC string format; '' until there is one
	created INTEGER NOT NULL,
	seen INTEGER
) STRICT;

CREATE TABLE invitation (
	person INTEGER PRIMARY KEY REFERENCES person ON DELETE CASCADE,
	sum BLOB NOT NULL UNIQUE, -- SHA-256 of the token
	expires INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
	sum BLOB NOT NULL UNIQUE, -- SHA-256 of the cookie
	started INTEGER NOT NULL,
	used INTEGER NOT NULL,
	address TEXT NOT NULL,
	agent TEXT NOT NULL
) STRICT;

CREATE INDEX session_person ON session (person, used);

CREATE TABLE place ( -- that a person has logged in from
	person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
	network TEXT NOT NULL,
	used INTEGER NOT NULL,
	PRIMARY KEY (person, network)
) STRICT, WITHOUT ROWID;
