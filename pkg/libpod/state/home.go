package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// checkHome refuses to open a graph root whose containers run from another run
// directory: a login session and a cron job may find different ones, and the
// second would take what runs for stopped. Whose processes have ended does not
// count, so that a directory that is gone, or forgotten, holds nobody up.
func (s *Store) checkHome(ctx context.Context, c *sql.Conn) error {
	var dir, boot string
	err := c.QueryRowContext(ctx, "SELECT run_dir, boot_id FROM main.home").Scan(&dir, &boot)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return openError(s.durable, false, err)
	}
	own := filepath.Dir(s.volatile)
	if dir == own && boot == s.bootID {
		return nil
	}
	s.claim.Store(true)
	if dir == "" || dir == own || boot != s.bootID {
		return nil
	}
	other := filepath.Join(dir, filepath.Base(s.volatile))
	if sameFile(other, s.volatile) {
		return nil
	}
	n, err := running(ctx, other, s.bootID)
	if err != nil {
		return openError(other, true, err)
	}
	if n > 0 {
		return ErrElsewhere{GraphRoot: filepath.Dir(s.dir), RunDir: dir, Own: own, Running: n}
	}
	return nil
}

// noteHome records our run directory as that of the graph root. On a full disk
// it is left to a later writer: what frees space must not fail for it.
func (s *Store) noteHome(ctx context.Context, c *sql.Conn) {
	if !s.claim.Load() {
		return
	}
	err := inTx(ctx, c, beginOne, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, "INSERT OR REPLACE INTO main.home (one, run_dir, boot_id) VALUES (1, ?, ?)",
			filepath.Dir(s.volatile), s.bootID)
		return err
	})
	s.claim.Store(err != nil)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// running counts the containers of another run.db with a process that lives.
func running(ctx context.Context, path, boot string) (n int, err error) {
	if _, err := os.Stat(path); err != nil {
		return 0, nil //nolint:nilerr // gone with its session, or not ours to see
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String() + fmt.Sprintf("?mode=ro&_busy_timeout=%d", busyTimeout.Milliseconds())
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, "SELECT doc FROM runs WHERE boot_id = ?", boot)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return 0, err
		}
		var r Run
		if err := json.Unmarshal(doc, &r); err != nil {
			return 0, err
		}
		if r.Init.Alive() || r.Conmon.Alive() || r.Owner.Alive() {
			n++
		}
	}
	return n, rows.Err()
}
