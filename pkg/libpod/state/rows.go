package state

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"slices"
	"strings"

	jsoniter "github.com/json-iterator/go"
	"golang.org/x/sync/errgroup"

	"github.com/rootless-pod/pod/internal/jsononce"
)

// record is a container as it is stored.
type record struct {
	id, name string
	volatile bool
	doc, run []byte
}

// many is the number of records from which the JSON decoder of
// containers/storage pays: three times as fast as the standard library's, but
// half a millisecond slower at its first use in a process.
const many = 50

// list runs a query with the columns of selectContainers. The answer is in the
// order of creation.
func (s *Store) list(ctx context.Context, what, query string, args ...any) (all []*Container, err error) {
	err = s.read(ctx, what, func(ctx context.Context, q querier) error {
		records, err := records(ctx, q, query, args...)
		if err != nil {
			return err
		}
		all, err = decodeAll(records)
		return err
	})
	if err != nil {
		return nil, err
	}
	sortByAge(all)
	return all, nil
}

// sortByAge sorts by the date of creation.
func sortByAge(all []*Container) {
	slices.SortFunc(all, func(a, b *Container) int {
		if order := a.Created.Compare(b.Created); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// records reads the rows of a query with the columns of selectContainers.
func records(ctx context.Context, q querier, query string, args ...any) ([]record, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []record
	var doc, run sql.RawBytes
	for rows.Next() {
		var r record
		if err := rows.Scan(&r.id, &r.name, &r.volatile, &doc, &run); err != nil {
			return nil, err
		}
		// The driver has made these for this row alone: no copy is needed.
		r.doc, r.run = doc, run
		all = append(all, r)
	}
	return all, rows.Err()
}

// decodeAll decodes records, with all processors if there are many.
func decodeAll(records []record) ([]*Container, error) {
	all := make([]*Container, len(records))
	unmarshal, workers := jsononce.Unmarshal, 1
	if len(records) >= many {
		unmarshal, workers = jsoniter.ConfigCompatibleWithStandardLibrary.Unmarshal, runtime.GOMAXPROCS(0)
	}
	part := (len(records) + workers - 1) / workers
	var group errgroup.Group
	for first := 0; first < len(records); first += part {
		group.Go(func() (err error) {
			for i := first; i < min(first+part, len(records)) && err == nil; i++ {
				all[i], err = decode(records[i], unmarshal)
			}
			return err
		})
	}
	return all, group.Wait()
}

// decode decodes a record; one without a run has a nil Run. If it was started
// and no end is recorded, the machine went down under it.
func decode(r record, unmarshal func([]byte, any) error) (*Container, error) {
	c := &Container{ID: r.id, Name: r.name, Volatile: r.volatile}
	if err := unmarshal(r.doc, c); err != nil {
		return nil, fmt.Errorf("decode record of container %s: %w", r.id, err)
	}
	if r.run == nil {
		if c.Wanted && c.Last == nil {
			c.Last = &Exit{Code: -1, Unknown: true}
		}
		return c, nil
	}
	c.Run = new(Run)
	if err := unmarshal(r.run, c.Run); err != nil {
		return nil, fmt.Errorf("decode run of container %s: %w", r.id, err)
	}
	return c, nil
}
