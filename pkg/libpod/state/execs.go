package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// AddExec records an exec session.
func (s *Store) AddExec(ctx context.Context, e *Exec) error {
	if e.ID == "" || e.Container == "" {
		return errors.New("add exec session: ID and container must be given")
	}
	doc, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode exec session %s: %w", e.ID, err)
	}
	created := e.Created
	if created.IsZero() {
		created = s.now()
	}
	return s.write(ctx, beginOne, "add exec session "+e.ID, func(ctx context.Context, q querier) error {
		_, err := q.ExecContext(ctx, "INSERT INTO run.execs (id, container, boot_id, created, doc) VALUES (?,?,?,?,?)",
			e.ID, e.Container, s.bootID, created.UnixNano(), doc)
		if err != nil {
			return err
		}
		return known(ctx, q, e.Container)
	})
}

// UpdateExec writes the record of an exec session again.
func (s *Store) UpdateExec(ctx context.Context, e *Exec) error {
	doc, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode exec session %s: %w", e.ID, err)
	}
	return s.write(ctx, beginOne, "update exec session "+e.ID, func(ctx context.Context, q querier) error {
		return oneRow(ErrNoExec{ID: e.ID})(q.ExecContext(ctx, "UPDATE run.execs SET doc = ? WHERE id = ?", doc, e.ID))
	})
}

// RemoveExec deletes the record of an exec session.
func (s *Store) RemoveExec(ctx context.Context, id string) error {
	return s.write(ctx, beginOne, "remove exec session "+id, func(ctx context.Context, q querier) error {
		return oneRow(ErrNoExec{ID: id})(q.ExecContext(ctx, "DELETE FROM run.execs WHERE id = ?", id))
	})
}

// Execs returns the exec sessions of a container (of all, if it is empty), in
// the order they were created in.
func (s *Store) Execs(ctx context.Context, container string) ([]*Exec, error) {
	return s.execs(ctx, "list exec sessions",
		"SELECT doc FROM run.execs WHERE boot_id = ?1 AND (?2 = '' OR container = ?2) ORDER BY created, id", s.bootID, container)
}

// LookupExec returns the exec session with this ID or unique prefix of one.
func (s *Store) LookupExec(ctx context.Context, idOrPrefix string) (*Exec, error) {
	if idOrPrefix == "" || !isHex(idOrPrefix) {
		return nil, ErrNoExec{ID: idOrPrefix}
	}
	found, err := s.execs(ctx, "look up exec session "+idOrPrefix,
		fmt.Sprintf("SELECT doc FROM run.execs WHERE boot_id = ?1 AND id >= ?2 AND id < ?2 || 'g' ORDER BY id LIMIT %d", maxMatches+1),
		s.bootID, idOrPrefix)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, ErrNoExec{ID: idOrPrefix}
	case len(found) == 1 || found[0].ID == idOrPrefix:
		return found[0], nil
	}
	ids := make([]string, 0, len(found))
	for _, e := range found {
		ids = append(ids, e.ID)
	}
	return nil, ambiguous(kindExec, idOrPrefix, ids)
}

// execs runs a query for documents of exec sessions.
func (s *Store) execs(ctx context.Context, what, query string, args ...any) (all []*Exec, err error) {
	err = s.read(ctx, what, func(ctx context.Context, q querier) error {
		docs, err := column(ctx, q, query, args...)
		if err != nil {
			return err
		}
		for _, doc := range docs {
			e := new(Exec)
			if err := json.Unmarshal([]byte(doc), e); err != nil {
				return fmt.Errorf("decode exec session: %w", err)
			}
			all = append(all, e)
		}
		return nil
	})
	return all, err
}
