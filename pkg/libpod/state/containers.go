package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/internal/jsononce"
)

// Nouns of ErrAmbiguous.
const (
	kindContainer = "container"
	kindExec      = "exec session"
	kindPod       = "pod"
	kindVolume    = "volume"
)

// maxMatches bounds what ErrAmbiguous lists.
const maxMatches = 10

// selectContainers reads both tables; %s is a condition on their columns, ?1 is
// the boot. Subqueries instead of a join over the union, and no ORDER BY: SQLite
// plans this in half the time, and a command plans it once and runs it once.
const selectContainers = `
SELECT id, name, 0, doc, (SELECT r.doc FROM run.runs AS r WHERE r.id = c.id AND r.boot_id = ?1)
	FROM main.containers AS c WHERE %[1]s
UNION ALL
SELECT id, name, 1, doc, (SELECT r.doc FROM run.runs AS r WHERE r.id = c.id AND r.boot_id = ?1)
	FROM run.containers AS c WHERE boot_id = ?1 AND %[1]s`

// Add makes the record of a new container: in the run directory if it is
// Volatile, beside the images otherwise. Its Run, if any, is recorded with it.
// A zero Created is set.
func (s *Store) Add(ctx context.Context, c *Container) error {
	if c.ID == "" || c.Name == "" {
		return errors.New("add container: ID and name must be given")
	}
	if c.Created.IsZero() {
		c.Created = s.now().UTC()
	}
	what := "add container " + c.Name
	if c.Volatile {
		doc, err := jsononce.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode container %s: %w", c.ID, err)
		}
		return s.write(ctx, beginOne, what, func(ctx context.Context, q querier) error {
			// The write lock of run.db, which this takes, is what makes names
			// unique across both files: durable writers hold it too.
			_, err := q.ExecContext(ctx, "INSERT INTO run.containers (id, boot_id, name, created, doc) VALUES (?,?,?,?,?)",
				c.ID, s.bootID, c.Name, c.Created.UnixNano(), doc)
			if err != nil && !isDuplicate(err) {
				return err
			}
			if err := s.taken(ctx, q, c.ID, c.Name, err == nil); err != nil {
				return err
			}
			if err != nil {
				return err
			}
			if err := s.open(ctx, q, c.Spec.Pod); err != nil {
				return err
			}
			return s.putRun(ctx, q, c.ID, c.Run)
		})
	}
	return s.write(ctx, beginBoth, what, func(ctx context.Context, q querier) error {
		s.lookAfterReserve()
		if err := s.open(ctx, q, c.Spec.Pod); err != nil {
			return err
		}
		return s.insert(ctx, q, c)
	})
}

// taken reports who has the ID or the name. inserted: the row itself is in
// run.containers already and does not count.
func (s *Store) taken(ctx context.Context, q querier, id, name string, inserted bool) error {
	query := "SELECT id, name FROM main.containers WHERE id = ?1 OR name = ?2"
	if !inserted {
		query += " UNION ALL SELECT id, name FROM run.containers WHERE id = ?1 OR (name = ?2 AND boot_id = ?3)"
	}
	var hasID, hasName string
	switch err := q.QueryRowContext(ctx, query+" LIMIT 1", id, name, s.bootID).Scan(&hasID, &hasName); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case hasID == id:
		return ErrIDInUse{ID: id}
	}
	return ErrNameInUse{Name: name, ID: hasID}
}

// Get returns the container with this full ID.
func (s *Store) Get(ctx context.Context, id string) (*Container, error) {
	found, err := s.list(ctx, "read container "+id, fmt.Sprintf(selectContainers, "id = ?2"), s.bootID, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, ErrNoContainer{Name: id}
	}
	return found[0], nil
}

// Lookup returns the container a user means: by exact name, else by full ID,
// else by a prefix of the ID that fits one container only.
func (s *Store) Lookup(ctx context.Context, nameOrID string) (*Container, error) {
	what := "look up container " + nameOrID
	found, err := s.list(ctx, what, fmt.Sprintf(selectContainers, "(name = ?2 OR id = ?2)"), s.bootID, nameOrID)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(found, func(c *Container) bool { return c.Name == nameOrID }); i >= 0 {
		return found[i], nil
	}
	if len(found) == 0 && nameOrID != "" && isHex(nameOrID) {
		// 'g' follows the last hexadecimal digit.
		found, err = s.list(ctx, what, fmt.Sprintf(selectContainers+" LIMIT %[2]d",
			"id >= ?2 AND id < ?2 || 'g'", maxMatches+1), s.bootID, nameOrID)
	}
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, ErrNoContainer{Name: nameOrID}
	case len(found) == 1:
		return found[0], nil
	}
	ids := make([]string, 0, len(found))
	for _, c := range found {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return nil, ambiguous(kindContainer, nameOrID, ids)
}

// ambiguous makes the error of several matches, of which maxMatches are named.
func ambiguous(kind, prefix string, matches []string) error {
	more := len(matches) > maxMatches
	return ErrAmbiguous{Kind: kind, Prefix: prefix, Matches: matches[:min(len(matches), maxMatches)], More: more}
}

// isHex reports whether s may be the beginning of an ID.
func isHex(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// List returns all containers, in the order they were created in.
func (s *Store) List(ctx context.Context) ([]*Container, error) {
	return s.list(ctx, "list containers", fmt.Sprintf(selectContainers, "true"), s.bootID)
}

// Needing returns the containers whose description names another one.
func (s *Store) Needing(ctx context.Context) ([]*Container, error) {
	return s.list(ctx, "list containers", fmt.Sprintf(selectContainers, mayNeed), s.bootID)
}

// Pending returns the containers on which a pod process is at work, or was
// when it died.
func (s *Store) Pending(ctx context.Context) ([]*Container, error) {
	// IDs first: nearly always there are none, and this is quickly planned.
	var ids []string
	err := s.read(ctx, "list pending containers", func(ctx context.Context, q querier) (err error) {
		ids, err = column(ctx, q, `SELECT id FROM run.runs
			WHERE phase IN ('creating','starting','init','paused','running','cleaning','removing') AND boot_id = ?1`, s.bootID)
		return err
	})
	if err != nil {
		return nil, err
	}
	var all []*Container
	for _, id := range ids {
		c, err := s.Get(ctx, id)
		if errors.As(err, new(ErrNoContainer)) || err == nil && !c.Run.pending() {
			continue // it went on in the meantime
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	sortByAge(all)
	return all, nil
}

// pending reports whether the phase is one that a process of pod leads on.
func (r *Run) pending() bool {
	if r == nil {
		return false
	}
	switch r.Phase {
	case PhaseCreating, PhaseStarting, PhaseInit, PhaseCleaning, PhaseRemoving:
		return true
	case PhasePaused, PhaseRunning:
		return r.Owner.PID != 0 // somebody has paused it to read it
	}
	return false
}

// Stale returns the volatile containers of other boots. They are in no other
// answer; their storage is to be removed, and then they (Remove).
func (s *Store) Stale(ctx context.Context) ([]*Container, error) {
	return s.list(ctx, "list containers of another boot",
		"SELECT id, name, 1, doc, NULL FROM run.containers WHERE boot_id <> ?1", s.bootID)
}

// ListIDs returns the IDs of all containers, in the order they were created in.
func (s *Store) ListIDs(ctx context.Context) (ids []string, err error) {
	err = s.read(ctx, "list containers", func(ctx context.Context, q querier) error {
		ids, err = column(ctx, q, `SELECT id FROM (
			SELECT id, created FROM main.containers
			UNION ALL SELECT id, created FROM run.containers WHERE boot_id = ?1
		) ORDER BY created, id`, s.bootID)
		return err
	})
	return ids, err
}

// column runs a query for one text column.
func column(ctx context.Context, q querier, query string, args ...any) ([]string, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// Update writes the record again, except for ID, Name and Run.
func (s *Store) Update(ctx context.Context, c *Container) error {
	doc, err := jsononce.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode container %s: %w", c.ID, err)
	}
	return s.write(ctx, beginOne, "update container "+c.Name, func(ctx context.Context, q querier) error {
		return updateDoc(ctx, q, c.ID, c.Volatile, doc)
	})
}

// updateDoc replaces the document of one container.
func updateDoc(ctx context.Context, q querier, id string, volatile bool, doc []byte) error {
	query := "UPDATE main.containers SET doc = ? WHERE id = ?"
	if volatile {
		query = "UPDATE run.containers SET doc = ? WHERE id = ?"
	}
	return oneRow(ErrNoContainer{Name: id})(q.ExecContext(ctx, query, doc, id))
}

// oneRow turns a statement that met no row into missing.
func oneRow(missing error) func(sql.Result, error) error {
	return func(res sql.Result, err error) error {
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return missing
	}
}

// Rename gives the container another name.
func (s *Store) Rename(ctx context.Context, id, name string) error {
	if name == "" {
		return errors.New("rename container: the new name is empty")
	}
	return s.write(ctx, beginBoth, "rename container "+id, func(ctx context.Context, q querier) error {
		var err error
		if err = s.taken(ctx, q, "", name, false); err != nil {
			var used ErrNameInUse
			if errors.As(err, &used) && used.ID == id {
				return nil
			}
			return err
		}
		for _, table := range []string{"run", "main"} {
			err = oneRow(ErrNoContainer{Name: id})(q.ExecContext(ctx,
				"UPDATE "+table+".containers SET name = ? WHERE id = ?", name, id))
			if !errors.As(err, new(ErrNoContainer)) {
				return err
			}
		}
		return err
	})
}

// Remove deletes a container's record, its run and its exec sessions.
func (s *Store) Remove(ctx context.Context, id string) error {
	what := "remove the record of container " + id
	begin, err := s.home(ctx, what, id)
	if err != nil {
		return err
	}
	return s.write(ctx, begin, what, func(ctx context.Context, q querier) error {
		found := false
		queries := []string{"DELETE FROM run.containers WHERE id = ?"}
		if begin == beginBoth {
			queries = append(queries, "DELETE FROM main.containers WHERE id = ?")
		}
		for _, query := range queries {
			err := oneRow(ErrNoContainer{Name: id})(q.ExecContext(ctx, query, id))
			if err != nil && !errors.As(err, new(ErrNoContainer)) {
				return err
			}
			found = found || err == nil
		}
		for _, query := range []string{"DELETE FROM run.runs WHERE id = ?", "DELETE FROM run.execs WHERE container = ?"} {
			if _, err := q.ExecContext(ctx, query, id); err != nil {
				return err
			}
		}
		if begin == beginBoth {
			if err := dropOrphans(ctx, q); err != nil {
				return err
			}
		}
		if !found {
			return ErrNoContainer{Name: id}
		}
		return nil
	})
}

// dropOrphans deletes what a kill between the commits of the two files can
// leave of a durable container: its run and exec sessions. Nobody sees them.
func dropOrphans(ctx context.Context, q querier) error {
	const nowhere = ` WHERE NOT EXISTS (SELECT 1 FROM main.containers AS c WHERE c.id = %[1]s)
		AND NOT EXISTS (SELECT 1 FROM run.containers AS c WHERE c.id = %[1]s)`
	for _, query := range []string{
		"DELETE FROM run.runs" + fmt.Sprintf(nowhere, "runs.id"), "DELETE FROM run.execs" + fmt.Sprintf(nowhere, "execs.container"),
	} {
		if _, err := q.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

// DropOrphans does what the next removal would do: it deletes runs and exec
// sessions that a kill between the commits of the two files has left alone.
func (s *Store) DropOrphans(ctx context.Context) error {
	// Both locks: a container that is being added is in one file first.
	return s.write(ctx, beginBoth, "delete orphaned records", dropOrphans)
}

// home says how to begin a transaction on a container: a volatile one does not
// touch the durable file.
func (s *Store) home(ctx context.Context, what, id string) (begin string, err error) {
	err = s.read(ctx, what, func(ctx context.Context, q querier) error {
		var volatile bool
		begin = beginBoth
		err := q.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM run.containers WHERE id = ?)", id).Scan(&volatile)
		if volatile {
			begin = beginOne
		}
		return err
	})
	return begin, err
}
