package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/internal/jsononce"
)

// SetRun records the state of the container's present run; nil deletes it.
func (s *Store) SetRun(ctx context.Context, id string, run *Run) error {
	return s.write(ctx, beginOne, "record the run of container "+id, func(ctx context.Context, q querier) error {
		if err := s.putRun(ctx, q, id, run); err != nil {
			return err
		}
		if run == nil {
			_, err := q.ExecContext(ctx, "DELETE FROM run.runs WHERE id = ?", id)
			return err
		}
		return known(ctx, q, id)
	})
}

// known refuses, inside a transaction, what would belong to no container.
func known(ctx context.Context, q querier, id string) error {
	var known bool
	err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM run.containers WHERE id = ?1)
		OR EXISTS (SELECT 1 FROM main.containers WHERE id = ?1)`, id).Scan(&known)
	if err == nil && !known {
		err = ErrNoContainer{Name: id}
	}
	return err
}

// putRun writes a run that is not nil.
func (s *Store) putRun(ctx context.Context, q querier, id string, run *Run) error {
	if run == nil {
		return nil
	}
	doc, err := jsononce.Marshal(run)
	if err != nil {
		return fmt.Errorf("encode run of container %s: %w", id, err)
	}
	_, err = q.ExecContext(ctx, "INSERT OR REPLACE INTO run.runs (id, boot_id, phase, doc) VALUES (?,?,?,?)",
		id, s.bootID, string(run.Phase), doc)
	return err
}

// Finish records how the run ended and that it is over. If pod is killed
// between the commits of the two files, the end is recorded and the run still
// there, and Finish is to be called again.
func (s *Store) Finish(ctx context.Context, id string, exit Exit) error {
	what := "record the end of container " + id
	begin, err := s.home(ctx, what, id)
	if err != nil {
		return err
	}
	return s.write(ctx, begin, what, func(ctx context.Context, q querier) error {
		// First, because it takes the write lock.
		if _, err := q.ExecContext(ctx, "DELETE FROM run.runs WHERE id = ?", id); err != nil {
			return err
		}
		volatile := begin == beginOne
		query := "SELECT doc FROM main.containers WHERE id = ?"
		if volatile {
			query = "SELECT doc FROM run.containers WHERE id = ?"
		}
		var doc []byte
		err := q.QueryRowContext(ctx, query, id).Scan(&doc)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoContainer{Name: id}
		}
		if err != nil {
			return err
		}
		c, err := decode(record{id: id, doc: doc}, json.Unmarshal)
		if err != nil {
			return err
		}
		c.Last = &exit
		if doc, err = jsononce.Marshal(c); err != nil {
			return fmt.Errorf("encode container %s: %w", id, err)
		}
		return updateDoc(ctx, q, id, volatile, doc)
	})
}
