package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// The two ways a transaction begins. Commits reach main first and run second;
// with WAL they are atomic for each file, not across a kill between the two:
// whoever writes both must leave a sound state when only main is done.
const (
	// beginBoth takes the write locks of both files, main first.
	beginBoth = "BEGIN IMMEDIATE"
	// beginOne takes locks as statements come. The first statement must be a
	// write: then it waits for the lock of its file and no other, so that a
	// start of a container never waits for another one's fsync. (A read first
	// and a write after it could end in "busy" at once, whatever the timeout.)
	beginOne = "BEGIN"
)

// querier is a connection, inside or outside a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// inTx runs fn in a transaction of c.
func inTx(ctx context.Context, c *sql.Conn, begin string, fn func(*sql.Conn) error) error {
	if _, err := c.ExecContext(ctx, begin); err != nil {
		return err
	}
	err := fn(c)
	if err == nil {
		if _, err = c.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	// A full disk makes SQLite roll back by itself; the error of a second
	// ROLLBACK says only that.
	_, _ = c.ExecContext(ctx, "ROLLBACK")
	return err
}

// write runs fn in a transaction; verb and object name it in errors. A context
// is looked at before and not during the transaction: that lasts milliseconds,
// and an answer of "cancelled" would not say whether it was committed.
func (s *Store) write(ctx context.Context, begin, what string, fn func(ctx context.Context, q querier) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	ctx = context.WithoutCancel(ctx)
	c, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = c.Close() }()
	if s.otherBoot.Load() {
		if err := inTx(ctx, c, beginOne, func(c *sql.Conn) error { return s.purge(ctx, c) }); err != nil {
			return s.fail(ctx, c, what, err)
		}
		s.otherBoot.Store(false)
	}
	s.noteHome(ctx, c)
	err = inTx(ctx, c, begin, func(c *sql.Conn) error { return fn(ctx, c) })
	return s.fail(ctx, c, what, err)
}

// read runs fn on the connection.
func (s *Store) read(ctx context.Context, what string, fn func(ctx context.Context, q querier) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	ctx = context.WithoutCancel(ctx)
	c, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = c.Close() }()
	return s.fail(ctx, c, what, fn(ctx, c))
}

// purge drops runs and exec sessions of other boots. Containers stay until
// libpod has removed their storage (Stale).
func (s *Store) purge(ctx context.Context, q querier) error {
	for _, stmt := range []string{
		"UPDATE run.boot SET id = ?1",
		"DELETE FROM run.runs WHERE boot_id <> ?1",
		"DELETE FROM run.execs WHERE boot_id <> ?1",
	} {
		if _, err := q.ExecContext(ctx, stmt, s.bootID); err != nil {
			return err
		}
	}
	return nil
}

// ownError is implemented by the error types a user sees as they are.
func ownError(err error) bool {
	for _, own := range []any{
		new(ErrNoContainer), new(ErrAmbiguous), new(ErrNameInUse), new(ErrIDInUse), new(ErrNoExec),
		new(ErrNoVolume), new(ErrVolumeInUse), new(ErrNoPod), new(ErrPodInUse), new(ErrCorrupt), new(ErrElsewhere),
	} {
		if errors.As(err, own) {
			return true
		}
	}
	return false
}

// fail gives an error its context.
func (s *Store) fail(ctx context.Context, q querier, what string, err error) error {
	switch {
	case err == nil || ownError(err):
		return err
	case isFull(err):
		return fmt.Errorf("%s: %w", what, ErrNoSpace)
	case isDamaged(err):
		// SQLite does not say which file it was.
		if s.sound(ctx, q, "main") {
			return ErrCorrupt{Path: s.volatile, Volatile: true, Err: err}
		}
		return ErrCorrupt{Path: s.durable, Err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// sound checks a whole file.
func (s *Store) sound(ctx context.Context, q querier, schema string) bool {
	var answer string
	err := q.QueryRowContext(ctx, "PRAGMA "+schema+".quick_check(1)").Scan(&answer)
	return err == nil && answer == "ok"
}
