package state

import (
	"context"
	"strings"
	"testing"
)

func TestSmoke(t *testing.T) {
	s, err := Open(context.Background(), Options{GraphRoot: t.TempDir(), RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c := &Container{ID: strings.Repeat("ab", 32), Name: "x", Volatile: true, Run: &Run{Phase: PhaseCreating}}
	if err := s.Add(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	got, err := s.Lookup(context.Background(), "aba")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v %+v", got, got.Run)
	if err := s.Finish(context.Background(), c.ID, Exit{Code: 3}); err != nil {
		t.Fatal(err)
	}
	p, err := s.Pending(context.Background())
	t.Log(p, err)
	t.Log(s.Add(context.Background(), &Container{ID: "cd", Name: "x"}))
	t.Log(s.Remove(context.Background(), c.ID), s.Close())
}
