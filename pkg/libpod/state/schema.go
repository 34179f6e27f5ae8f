package state

import (
	"context"
	"database/sql"
	"fmt"
)

// migration brings a schema from one version to the next. It runs inside a
// write transaction of both files. Released ones are never edited: a change is
// a new entry at the end, and user_version is the number of those applied.
type migration string

// durableSchema are the migrations of <graph root>/pod/state.db. The columns
// before doc are what is searched and ordered by; doc is the record as JSON.
func durableSchema() []migration {
	return []migration{`
CREATE TABLE main.containers (
	id      TEXT NOT NULL PRIMARY KEY,
	name    TEXT NOT NULL UNIQUE,
	created INTEGER NOT NULL,
	doc     BLOB NOT NULL
) STRICT;
CREATE TABLE main.volumes (
	name    TEXT NOT NULL PRIMARY KEY,
	created INTEGER NOT NULL,
	doc     BLOB NOT NULL
) STRICT;
`, `
CREATE TABLE main.home (
	one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	run_dir TEXT NOT NULL,
	boot_id TEXT NOT NULL
) STRICT;
`, `
CREATE TABLE main.pods (
	id      TEXT NOT NULL PRIMARY KEY,
	name    TEXT NOT NULL UNIQUE,
	created INTEGER NOT NULL,
	boot_id TEXT NOT NULL,
	doc     BLOB NOT NULL
) STRICT;
`, `
CREATE INDEX main.containers_needing ON containers (id) WHERE ` + mayNeed + `;
CREATE INDEX main.containers_in_pods ON containers (id) WHERE ` + mayBeInPod + `;
CREATE INDEX main.containers_with_volumes ON containers (id) WHERE ` + mayHaveVolumes + `;
`}
}

// What few documents say of themselves, as JSON writes it. SQLite takes the index on
// such a condition for a query that has the condition word for word, so these are
// part of the schema: a change of one is a new migration.
const (
	mayNeed = `(instr(doc, CAST('"container:' AS BLOB)) > 0 OR instr(doc, CAST('"volumes_from":' AS BLOB)) > 0 OR
		instr(doc, CAST('"requires":' AS BLOB)) > 0)`
	mayBeInPod     = `instr(doc, CAST('"pod":"' AS BLOB)) > 0`
	mayHaveVolumes = `(instr(doc, CAST('"type":"volume"' AS BLOB)) > 0 OR instr(doc, CAST('"anonymous_volumes":' AS BLOB)) > 0)`
)

// volatileSchema are the migrations of <run dir>/run.db. Each row carries the
// boot it belongs to: a run directory may be on a disk. Names are unique per
// boot, since a row of another boot must not hold a name. The table boot has
// one row, the boot whose rows were kept by the last purge.
func volatileSchema() []migration {
	return []migration{`
CREATE TABLE run.containers (
	id      TEXT NOT NULL PRIMARY KEY,
	boot_id TEXT NOT NULL,
	name    TEXT NOT NULL,
	created INTEGER NOT NULL,
	doc     BLOB NOT NULL,
	UNIQUE (name, boot_id)
) STRICT;
CREATE TABLE run.runs (
	id      TEXT NOT NULL PRIMARY KEY,
	boot_id TEXT NOT NULL,
	phase   TEXT NOT NULL,
	doc     BLOB NOT NULL
) STRICT;
CREATE INDEX run.runs_phase ON runs (phase);
CREATE TABLE run.execs (
	id        TEXT NOT NULL PRIMARY KEY,
	container TEXT NOT NULL,
	boot_id   TEXT NOT NULL,
	created   INTEGER NOT NULL,
	doc       BLOB NOT NULL
) STRICT;
CREATE INDEX run.execs_container ON execs (container);
CREATE TABLE run.boot (id TEXT NOT NULL) STRICT;
INSERT INTO run.boot VALUES ('');
`}
}

// schemaVersion reads user_version; 0 is a file without a schema.
func schemaVersion(ctx context.Context, c *sql.Conn, schema string) (int, error) {
	var v int
	err := c.QueryRowContext(ctx, "PRAGMA "+schema+".user_version").Scan(&v)
	return v, err
}

// migrate applies what is missing in schema. The version is read again inside
// the transaction, because another process may have been quicker.
func migrate(ctx context.Context, c *sql.Conn, schema, path string, all []migration) error {
	have, err := schemaVersion(ctx, c, schema)
	if err != nil {
		return err
	}
	if have > len(all) {
		return ErrNewer{Path: path, Have: have, Known: len(all)}
	}
	for _, m := range all[have:] {
		if _, err := c.ExecContext(ctx, string(m)); err != nil {
			return fmt.Errorf("migrate state file %s: %w", path, err)
		}
	}
	_, err = c.ExecContext(ctx, fmt.Sprintf("PRAGMA %s.user_version = %d", schema, len(all)))
	return err
}
