package state

import (
	"path/filepath"

	"github.com/rootless-pod/pod/internal/reserve"
)

// FreeReserve gives the reserve back to the disk, for a removal to succeed. The
// Store does not make it again unless EnsureReserve is called.
func (s *Store) FreeReserve() error {
	s.reserveSeen.Store(true)
	return reserve.Free(filepath.Dir(s.dir))
}

// RetakeReserve takes back what FreeReserve gave, as far as there is room.
func (s *Store) RetakeReserve() error { return reserve.Retake(filepath.Dir(s.dir)) }

// EnsureReserve makes the reserve if it is missing and there is plenty of room.
func (s *Store) EnsureReserve() error {
	s.reserveSeen.Store(true)
	return reserve.Ensure(filepath.Dir(s.dir))
}

// lookAfterReserve makes the reserve at the first durable addition of a Store.
// It is a precaution: that it cannot be made is no reason to refuse the work.
func (s *Store) lookAfterReserve() {
	if !s.reserveSeen.Load() {
		_ = s.EnsureReserve()
	}
}
