package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// AddVolume records a new volume.
func (s *Store) AddVolume(ctx context.Context, v *Volume) error {
	if v.Name == "" {
		return errors.New("add volume: the name must be given")
	}
	doc, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode volume %s: %w", v.Name, err)
	}
	created := v.Created
	if created.IsZero() {
		created = s.now()
	}
	return s.write(ctx, beginOne, "add volume "+v.Name, func(ctx context.Context, q querier) error {
		s.lookAfterReserve()
		_, err := q.ExecContext(ctx, "INSERT INTO main.volumes (name, created, doc) VALUES (?,?,?)", v.Name, created.UnixNano(), doc)
		if isDuplicate(err) {
			return ErrVolumeInUse{Name: v.Name}
		}
		return err
	})
}

// Volume returns the volume with this name, or with the only name that begins
// so.
func (s *Store) Volume(ctx context.Context, nameOrPrefix string) (*Volume, error) {
	if nameOrPrefix == "" {
		return nil, ErrNoVolume{}
	}
	// No LIKE: it has wildcards and ignores case. Names are ASCII, U+10FFFF
	// follows them all.
	found, err := s.volumes(ctx, "look up volume "+nameOrPrefix, fmt.Sprintf(
		"SELECT doc FROM main.volumes WHERE name >= ?1 AND name < ?1 || char(0x10ffff) ORDER BY name LIMIT %d", maxMatches+1), nameOrPrefix)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, ErrNoVolume{Name: nameOrPrefix}
	case len(found) == 1 || found[0].Name == nameOrPrefix:
		return found[0], nil
	}
	names := make([]string, 0, len(found))
	for _, v := range found {
		names = append(names, v.Name)
	}
	return nil, ambiguous(kindVolume, nameOrPrefix, names)
}

// VolumeNamed returns the volume with exactly this name.
func (s *Store) VolumeNamed(ctx context.Context, name string) (*Volume, error) {
	found, err := s.volumes(ctx, "look up volume "+name, "SELECT doc FROM main.volumes WHERE name = ?", name)
	if err == nil && len(found) == 0 {
		return nil, ErrNoVolume{Name: name}
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// Volumes returns all volumes, by name.
func (s *Store) Volumes(ctx context.Context) ([]*Volume, error) {
	return s.volumes(ctx, "list volumes", "SELECT doc FROM main.volumes ORDER BY name")
}

// volumes runs a query for documents of volumes.
func (s *Store) volumes(ctx context.Context, what, query string, args ...any) (all []*Volume, err error) {
	err = s.read(ctx, what, func(ctx context.Context, q querier) error {
		docs, err := column(ctx, q, query, args...)
		if err != nil {
			return err
		}
		for _, doc := range docs {
			v := new(Volume)
			if err := json.Unmarshal([]byte(doc), v); err != nil {
				return fmt.Errorf("decode volume: %w", err)
			}
			all = append(all, v)
		}
		return nil
	})
	return all, err
}

// UpdateVolume writes the record of a volume again.
func (s *Store) UpdateVolume(ctx context.Context, v *Volume) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode volume %s: %w", v.Name, err)
	}
	return s.write(ctx, beginOne, "update volume "+v.Name, func(ctx context.Context, q querier) error {
		return oneRow(ErrNoVolume{Name: v.Name})(q.ExecContext(ctx, "UPDATE main.volumes SET doc = ? WHERE name = ?", doc, v.Name))
	})
}

// RemoveVolume deletes the record of a volume.
func (s *Store) RemoveVolume(ctx context.Context, name string) error {
	return s.write(ctx, beginOne, "remove volume "+name, func(ctx context.Context, q querier) error {
		return oneRow(ErrNoVolume{Name: name})(q.ExecContext(ctx, "DELETE FROM main.volumes WHERE name = ?", name))
	})
}

// VolumeUsers returns the IDs of the containers that mount the volume.
func (s *Store) VolumeUsers(ctx context.Context, name string) (ids []string, err error) {
	// Only documents with the name in them, as JSON writes it, are decoded.
	needle, err := json.Marshal(name)
	if err != nil {
		return nil, fmt.Errorf("encode volume name %s: %w", name, err)
	}
	candidates, err := s.list(ctx, "list users of volume "+name,
		fmt.Sprintf(selectContainers, mayHaveVolumes+" AND instr(doc, ?2) > 0"), s.bootID, needle)
	if err != nil {
		return nil, err
	}
	for _, c := range candidates {
		if usesVolume(c, name) {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

// usesVolume reports whether the record mounts the volume.
func usesVolume(c *Container, name string) bool {
	for _, m := range c.Spec.Storage.Mounts {
		if m.Type == "volume" && m.Source == name {
			return true
		}
	}
	return slices.Contains(c.AnonymousVolumes, name)
}
