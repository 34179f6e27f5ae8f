package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// QuickCheck reads the durable records of a graph root from end to end, without
// changing anything, and says what is wrong with them. No records is no error.
func QuickCheck(ctx context.Context, graphRoot string) error {
	file := filepath.Join(graphRoot, "pod", "state.db")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	err := quickCheck(ctx, file, "ro")
	// A journal cannot be read beside others on a read-only disk. There nobody
	// else writes either.
	var failed damagedError
	if err != nil && !errors.As(err, &failed) && unwritable(filepath.Dir(file)) {
		err = quickCheck(ctx, file, "ro&immutable=1")
	}
	return err
}

// damagedError is what SQLite says of a file that it can read.
type damagedError string

func (e damagedError) Error() string { return string(e) }

func unwritable(dir string) bool {
	f, err := os.CreateTemp(dir, ".pod-doctor-")
	if err != nil {
		return true
	}
	return errors.Join(f.Close(), os.Remove(f.Name())) != nil
}

func quickCheck(ctx context.Context, file, mode string) (err error) {
	db, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: file}).EscapedPath()+"?mode="+mode)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var said string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); err != nil {
		return fmt.Errorf("check %s: %w", file, err)
	}
	if said != "ok" {
		return fmt.Errorf("check %s: %w", file, damagedError(said))
	}
	return nil
}
