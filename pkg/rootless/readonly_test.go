package rootless

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounts need root")
	}
	base := t.TempDir()
	if err := makePodDir(base); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(program+".new", []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(program+".new", program); err != nil {
			t.Fatal(err)
		}
	}
	truth, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip(err)
	}
	put(string(truth))

	outside := &Session{RunBase: base}
	if got := outside.ReadOnly(program); got != program {
		t.Errorf("outside: %s", got)
	}
	s := &Session{RunBase: base, Inside: true}
	view := s.ReadOnly(program)
	if view == program || filepath.Base(view) != "program" {
		t.Fatalf("view %s", view)
	}
	t.Cleanup(func() { _ = unix.Unmount(view, unix.MNT_DETACH) })
	if again := s.ReadOnly(program); again != view {
		t.Errorf("again: %s, not %s", again, view)
	}
	if err := exec.CommandContext(t.Context(), view).Run(); err != nil {
		t.Error(err)
	}
	if f, err := os.OpenFile(view, os.O_WRONLY, 0); !errors.Is(err, unix.EROFS) {
		_ = f.Close()
		t.Errorf("open for writing: %v", err)
	}

	put(string(truth) + "\x00") // upgraded
	newer := s.ReadOnly(program)
	if newer == view || newer == program {
		t.Errorf("the view of another file: %s", newer)
	}
	t.Cleanup(func() { _ = unix.Unmount(newer, unix.MNT_DETACH) })
	if err := exec.CommandContext(t.Context(), view).Run(); err != nil {
		t.Errorf("the old one: %v", err)
	}

	put("#!/bin/sh\n") // it may look at its name
	if got := s.ReadOnly(program); got != program {
		t.Errorf("a script: %s", got)
	}
	if got := s.ReadOnly(program + ".none"); got != program+".none" {
		t.Errorf("nothing: %s", got)
	}
}
