package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// Pod is the record of a pod.
type Pod struct {
	// ID is 64 lower-case hexadecimal digits.
	ID   string `json:"-"`
	Name string `json:"-"`
	// Created is when the record was made, in UTC.
	Created time.Time `json:"created"`
	// Spec is the description.
	Spec specgen.Pod `json:"spec"`
	// InfraID is the container that holds the pod's namespaces, if there is one. It
	// is recorded and removed in the same transaction as the pod.
	InfraID string `json:"infra_id,omitempty"`
	// Removing: the pod is on its way out, with all its containers. Owner is the
	// process of pod that is at it.
	Removing bool    `json:"removing,omitempty"`
	Owner    Process `json:"owner,omitzero"`
	// Volatile pods end with this boot, as their containers do.
	Volatile bool `json:"-"`
}

// selectPods reads the pods that are of this boot, ?1, or of none; %s is a
// condition.
const selectPods = "SELECT id, name, boot_id, doc FROM main.pods WHERE boot_id IN ('', ?1) AND %s ORDER BY created, id"

// AddPod makes the record of a new pod, and that of its infra container (if it is
// not nil), which names the pod.
func (s *Store) AddPod(ctx context.Context, p *Pod, infra *Container) error {
	if p.ID == "" || p.Name == "" {
		return errors.New("add pod: ID and name must be given")
	}
	if p.Created.IsZero() {
		p.Created = s.now().UTC()
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode pod %s: %w", p.ID, err)
	}
	return s.write(ctx, beginBoth, "add pod "+p.Name, func(ctx context.Context, q querier) error {
		s.lookAfterReserve()
		boot := ""
		if p.Volatile {
			boot = s.bootID
		}
		// Those of another boot are no pods any more.
		if _, err := q.ExecContext(ctx, "DELETE FROM main.pods WHERE boot_id NOT IN ('', ?)", s.bootID); err != nil {
			return err
		}
		var id string
		switch err := q.QueryRowContext(ctx, "SELECT id FROM main.pods WHERE name = ?", p.Name).Scan(&id); {
		case err == nil:
			return ErrPodInUse{Name: p.Name, ID: id}
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if _, err := q.ExecContext(ctx, "INSERT INTO main.pods (id, name, created, boot_id, doc) VALUES (?,?,?,?,?)",
			p.ID, p.Name, p.Created.UnixNano(), boot, doc); err != nil {
			return err
		}
		if infra == nil {
			return nil
		}
		return s.insert(ctx, q, infra)
	})
}

// insert adds a container in a transaction that holds both locks.
func (s *Store) insert(ctx context.Context, q querier, c *Container) error {
	doc, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode container %s: %w", c.ID, err)
	}
	if err := s.taken(ctx, q, c.ID, c.Name, false); err != nil {
		return err
	}
	query, args := "INSERT INTO main.containers (id, name, created, doc) VALUES (?,?,?,?)", []any{c.ID, c.Name, c.Created.UnixNano(), doc}
	if c.Volatile {
		query, args = "INSERT INTO run.containers (id, name, created, doc, boot_id) VALUES (?,?,?,?,?)", append(args, s.bootID)
	}
	if _, err := q.ExecContext(ctx, query, args...); err != nil {
		return err
	}
	return s.putRun(ctx, q, c.ID, c.Run)
}

// open refuses a container whose pod is not there, or is about to go. Whoever
// removes a pod says so first, and looks for its containers after that.
func (s *Store) open(ctx context.Context, q querier, pod string) error {
	if pod == "" {
		return nil
	}
	found, err := s.scanPods(ctx, q, "id = ?2", pod)
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return ErrNoPod{Name: pod}
	case found[0].Removing:
		return fmt.Errorf("pod %s is being removed: %w", found[0].Name, ErrNoPod{Name: pod})
	}
	return nil
}

func (s *Store) scanPods(ctx context.Context, q querier, where string, args ...any) ([]*Pod, error) {
	rows, err := q.QueryContext(ctx, fmt.Sprintf(selectPods, where), append([]any{s.bootID}, args...)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []*Pod
	for rows.Next() {
		p := &Pod{}
		var boot string
		var doc []byte
		if err := rows.Scan(&p.ID, &p.Name, &boot, &doc); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(doc, p); err != nil {
			return nil, fmt.Errorf("decode record of pod %s: %w", p.ID, err)
		}
		p.Volatile = boot != ""
		all = append(all, p)
	}
	return all, rows.Err()
}

func (s *Store) pods(ctx context.Context, what, where string, args ...any) (all []*Pod, err error) {
	err = s.read(ctx, what, func(ctx context.Context, q querier) error {
		all, err = s.scanPods(ctx, q, where, args...)
		return err
	})
	return all, err
}

// Pods returns all pods, in the order they were created in.
func (s *Store) Pods(ctx context.Context) ([]*Pod, error) {
	return s.pods(ctx, "list pods", "true")
}

// Pod returns the pod with this full ID.
func (s *Store) Pod(ctx context.Context, id string) (*Pod, error) {
	found, err := s.pods(ctx, "read pod "+id, "id = ?2", id)
	if err == nil && len(found) == 0 {
		err = ErrNoPod{Name: id}
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// LookupPod returns the pod a user means: by exact name, else by full ID, else by
// a prefix of the ID that fits one pod only.
func (s *Store) LookupPod(ctx context.Context, nameOrID string) (*Pod, error) {
	what := "look up pod " + nameOrID
	found, err := s.pods(ctx, what, "(name = ?2 OR id = ?2)", nameOrID)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(found, func(p *Pod) bool { return p.Name == nameOrID }); i >= 0 {
		return found[i], nil
	}
	if len(found) == 0 && nameOrID != "" && isHex(nameOrID) {
		if found, err = s.pods(ctx, what, "id >= ?2 AND id < ?2 || 'g'", nameOrID); err != nil {
			return nil, err
		}
	}
	switch len(found) {
	case 0:
		return nil, ErrNoPod{Name: nameOrID}
	case 1:
		return found[0], nil
	}
	ids := make([]string, 0, maxMatches+1)
	for _, p := range found[:min(len(found), maxMatches+1)] {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	return nil, ambiguous(kindPod, nameOrID, ids)
}

// UpdatePod writes the record of a pod again.
func (s *Store) UpdatePod(ctx context.Context, p *Pod) error {
	doc, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode pod %s: %w", p.ID, err)
	}
	return s.write(ctx, beginOne, "update pod "+p.Name, func(ctx context.Context, q querier) error {
		return oneRow(ErrNoPod{Name: p.Name})(q.ExecContext(ctx, "UPDATE main.pods SET doc = ? WHERE id = ?", doc, p.ID))
	})
}

// RemovePod deletes the record of a pod, and that of its infra container if it is
// there still.
func (s *Store) RemovePod(ctx context.Context, id, infra string) error {
	return s.write(ctx, beginBoth, "remove the record of pod "+id, func(ctx context.Context, q querier) error {
		for _, query := range []string{
			"DELETE FROM run.containers WHERE id = ?", "DELETE FROM main.containers WHERE id = ?",
			"DELETE FROM run.runs WHERE id = ?", "DELETE FROM run.execs WHERE container = ?",
		} {
			if infra == "" {
				break
			}
			if _, err := q.ExecContext(ctx, query, infra); err != nil {
				return err
			}
		}
		return oneRow(ErrNoPod{Name: id})(q.ExecContext(ctx, "DELETE FROM main.pods WHERE id = ?", id))
	})
}

// Members returns the containers of a pod, in the order they were created in.
func (s *Store) Members(ctx context.Context, pod string) ([]*Container, error) {
	// Only documents that name the pod, as JSON writes it, are decoded.
	all, err := s.list(ctx, "list containers of pod "+pod,
		fmt.Sprintf(selectContainers, mayBeInPod+" AND instr(doc, ?2) > 0"), s.bootID, []byte(`"pod":"`+pod+`"`))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c *Container) bool { return c.Spec.Pod != pod }), nil
}

// InPods returns the containers of all pods, by the id of the pod.
func (s *Store) InPods(ctx context.Context) (map[string][]*Container, error) {
	all, err := s.list(ctx, "list containers of pods",
		fmt.Sprintf(selectContainers, mayBeInPod), s.bootID)
	if err != nil {
		return nil, err
	}
	byPod := map[string][]*Container{}
	for _, c := range all {
		byPod[c.Spec.Pod] = append(byPod[c.Spec.Pod], c)
	}
	return byPod, nil
}
