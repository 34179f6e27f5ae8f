package state

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/reserve"
)

// TestMain lets the test binary be the other process of a test.
func TestMain(m *testing.M) {
	if what := os.Getenv("POD_STATE_TEST_CHILD"); what != "" {
		if err := child(context.Background(), what); err != nil {
			fmt.Fprintln(os.Stdout, "error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is the other process. It answers on standard output, line by line.
func child(ctx context.Context, what string) error {
	if what == "full" {
		return fillDisk(ctx, os.Getenv("POD_STATE_TEST_GRAPHROOT"))
	}
	s, err := Open(ctx, Options{
		GraphRoot: os.Getenv("POD_STATE_TEST_GRAPHROOT"), RunDir: os.Getenv("POD_STATE_TEST_RUNDIR"), BootID: "boot-1",
	})
	if err != nil {
		return err
	}
	switch what {
	case "write":
		if err := writeALot(ctx, s, os.Getpid(), 10); err != nil {
			return err
		}
		return s.Close()
	case "loop": // until killed
		for n := 0; ; n++ {
			fmt.Fprintln(os.Stdout, n)
			if err := writeALot(ctx, s, os.Getpid(), 1); err != nil {
				return err
			}
		}
	case "lock":
		if _, err := s.Lock(ctx, "x"); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, "locked")
		select {}
	}
	return errors.New("unknown child " + what)
}

// command is the other process, not started.
func command(t *testing.T, what string, o Options) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "POD_STATE_TEST_CHILD="+what,
		"POD_STATE_TEST_GRAPHROOT="+o.GraphRoot, "POD_STATE_TEST_RUNDIR="+o.RunDir)
	return cmd
}

// writeALot walks containers of both kinds through their lives.
func writeALot(ctx context.Context, s *Store, seed, times int) error {
	for n := range times {
		for _, volatile := range []bool{false, true} {
			c := sample(seed*1000+n*2, volatile)
			if volatile {
				c.ID, c.Name = c.ID[:63]+"f", c.Name+"v"
			}
			for _, err := range []error{
				ignoreIDInUse(s.Add(ctx, c)), s.SetRun(ctx, c.ID, sampleRun()),
				s.AddExec(ctx, &Exec{ID: "e" + c.ID[1:], Container: c.ID}),
				s.Finish(ctx, c.ID, Exit{Code: 1}), s.Remove(ctx, c.ID),
			} {
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func ignoreIDInUse(err error) error {
	if errors.As(err, new(ErrIDInUse)) {
		return nil
	}
	return err
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	o := place(t)
	o.GraphRoot, o.RunDir = filepath.Join(o.GraphRoot, "a", "b?c#d%20e"), filepath.Join(o.RunDir, "é ?mode=ro")
	s := open(t, o)
	add(t, s, "x=aa", "~y=bb")
	for _, path := range []string{
		s.durable, s.durable + "-wal", s.durable + "-shm", s.volatile, s.volatile + "-wal", s.volatile + "-shm",
	} {
		st, err := os.Stat(path)
		must(t, err)
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", path, st.Mode())
		}
	}
	if st, err := os.Stat(s.dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st, err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	for pragma, want := range map[string]string{
		"main.journal_mode": "wal", "main.synchronous": "2", "run.journal_mode": "wal", "run.synchronous": "0",
		"busy_timeout": "10000", "main.journal_size_limit": "0",
		"main.user_version": strconv.Itoa(len(durableSchema())), "run.user_version": strconv.Itoa(len(volatileSchema())),
	} {
		var got string
		must(t, s.db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
}

// What a reader finds and leaves must not grow with what was written.
func TestCloseLeavesAnEmptyLog(t *testing.T) {
	t.Parallel()
	o := place(t)
	s, err := Open(t.Context(), o)
	must(t, err)
	add(t, s, "x=aa")
	must(t, s.Close())
	before, err := os.Stat(s.durable)
	must(t, err)
	if st, err := os.Stat(s.durable + "-wal"); err != nil || st.Size() != 0 {
		t.Errorf("log: %v, %v", st, err)
	}
	s, err = Open(t.Context(), o)
	must(t, err)
	_, err = s.List(t.Context())
	must(t, err)
	must(t, s.Close())
	after, err := os.Stat(s.durable)
	must(t, err)
	if !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size() {
		t.Error("a reader wrote to the database")
	}
}

func TestJournalMode(t *testing.T) {
	t.Parallel()
	for magic, want := range map[uint32]string{
		unix.EXT4_SUPER_MAGIC: "WAL", unix.XFS_SUPER_MAGIC: "WAL", unix.BTRFS_SUPER_MAGIC: "WAL", unix.TMPFS_MAGIC: "WAL",
		unix.NFS_SUPER_MAGIC: "DELETE", 0xff534d42: "DELETE", 0xfe534d42: "DELETE", unix.FUSE_SUPER_MAGIC: "DELETE",
	} {
		if got := journalModeOf(magic); got != want {
			t.Errorf("%x: %s, want %s", magic, got, want)
		}
	}
}

func TestMigration(t *testing.T) {
	t.Parallel()
	o := place(t)
	add(t, open(t, o), "x=aa", "~y=bb")

	next := o
	next.durable = append(durableSchema(), "ALTER TABLE main.containers ADD COLUMN pod TEXT NOT NULL DEFAULT 'none'")
	next.volatile = append(volatileSchema(), "CREATE TABLE run.pods (id TEXT) STRICT")
	var wait sync.WaitGroup
	for range 8 { // all want to migrate, one does
		wait.Go(func() {
			s, err := Open(t.Context(), next)
			if err != nil {
				t.Error(err)
				return
			}
			var pod string
			if err := s.db.QueryRowContext(t.Context(), "SELECT pod FROM main.containers WHERE name = 'x'").Scan(&pod); err != nil || pod != "none" {
				t.Errorf("%q, %v", pod, err)
			}
			if all, err := s.List(t.Context()); err != nil || len(all) != 2 {
				t.Errorf("%v, %v", all, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()

	_, err := Open(t.Context(), o)
	var newer ErrNewer
	if !errors.As(err, &newer) || newer.Path != filepath.Join(o.GraphRoot, "pod", "state.db") ||
		newer.Have != newer.Known+1 || newer.Known != len(durableSchema()) || !strings.Contains(err.Error(), "use that version of pod") {
		t.Errorf("older pod: %v", err)
	}
	bad := o
	bad.durable = append(next.durable, "ALTER TABLE main.containers ADD COLUMN half TEXT; SELECT nonsense")
	bad.volatile = next.volatile
	if _, err := Open(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("bad migration: %v", err)
	}
	s := open(t, next) // it was undone
	if _, err := s.db.ExecContext(t.Context(), "SELECT half FROM main.containers"); err == nil {
		t.Error("half a migration stayed")
	}
}

func TestFirstOpenAtOnce(t *testing.T) {
	t.Parallel()
	o := place(t)
	o.GraphRoot, o.RunDir = filepath.Join(o.GraphRoot, "new"), filepath.Join(o.RunDir, "new")
	var wait sync.WaitGroup
	for n := range 16 {
		wait.Go(func() {
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.Add(t.Context(), sample(n, n%2 == 0)), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if ids, err := open(t, o).ListIDs(t.Context()); err != nil || len(ids) != 16 {
		t.Errorf("%d containers, %v", len(ids), err)
	}
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	garbage := []byte(strings.Repeat("this is not a database ", 4000))
	for name, tc := range map[string]struct {
		file   func(*Store) string
		damage func([]byte) []byte
		lost   string
	}{
		"durable, no database":  {func(s *Store) string { return s.durable }, func([]byte) []byte { return garbage }, "containers and volumes are lost"},
		"volatile, no database": {func(s *Store) string { return s.volatile }, func([]byte) []byte { return garbage }, "running and --rm containers is lost"},
		"durable, pages": {
			func(s *Store) string { return s.durable },
			func(b []byte) []byte { return append(b[:4096:4096], garbage[:len(b)-4096]...) }, "containers and volumes are lost",
		},
		"volatile, pages": {
			func(s *Store) string { return s.volatile },
			func(b []byte) []byte { return append(b[:4096:4096], garbage[:len(b)-4096]...) }, "running and --rm containers is lost",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := place(t)
			s, err := Open(t.Context(), o)
			must(t, err)
			add(t, s, "x=aa", "~y=bb")
			must(t, s.Close())
			path := tc.file(s)
			content, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, tc.damage(content), 0o600))

			s, err = Open(t.Context(), o)
			if err == nil {
				_, err = s.List(t.Context())
				must(t, s.Close())
			}
			var corrupt ErrCorrupt
			if !errors.As(err, &corrupt) || corrupt.Path != path || !strings.Contains(err.Error(), "move it aside") ||
				!strings.Contains(err.Error(), tc.lost) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v", err)
			}
			must(t, os.Rename(path, path+".old")) // the remedy
			_, err = open(t, o).List(t.Context())
			must(t, err)
		})
	}
}

func TestNoPermission(t *testing.T) {
	t.Parallel()
	o := place(t)
	must(t, os.WriteFile(filepath.Join(o.GraphRoot, "pod"), nil, 0o600))
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), filepath.Join(o.GraphRoot, "pod")) {
		t.Errorf("got %v", err)
	}
}

func TestReaderIsNotBlocked(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			o := place(t)
			o.journal = journal
			reader, writer := open(t, o), open(t, o)
			add(t, writer, "x=aa", "~y=bb")
			err := writer.write(t.Context(), beginBoth, "test", func(ctx context.Context, q querier) error {
				for _, table := range []string{"main.containers", "run.containers"} {
					if _, err := q.ExecContext(ctx, "DELETE FROM "+table); err != nil {
						return err
					}
				}
				all, err := reader.List(ctx)
				if err == nil && len(all) != 2 {
					err = fmt.Errorf("the reader sees %d containers", len(all))
				}
				third, openErr := Open(ctx, o)
				if openErr == nil {
					_, openErr = third.Lookup(ctx, "x")
					openErr = errors.Join(openErr, third.Close())
				}
				return errors.Join(err, openErr)
			})
			must(t, err)
		})
	}
}

// A start of a volatile container must not wait for somebody's fsync.
func TestVolatileDoesNotWaitForDurable(t *testing.T) {
	t.Parallel()
	o := place(t)
	durable, volatile := open(t, o), open(t, o)
	must(t, durable.write(t.Context(), beginOne, "test", func(ctx context.Context, q querier) error {
		if _, err := q.ExecContext(ctx, "INSERT INTO main.volumes VALUES ('x', 1, x'')"); err != nil {
			return err
		}
		return writeVolatile(ctx, volatile)
	}))
}

func writeVolatile(ctx context.Context, s *Store) error {
	c := sample(1, true)
	return errors.Join(s.Add(ctx, c), s.SetRun(ctx, c.ID, sampleRun()), s.Update(ctx, c),
		s.Finish(ctx, c.ID, Exit{}), s.Remove(ctx, c.ID))
}

func TestManyWriters(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			o := place(t)
			o.journal = journal
			s := open(t, o)
			var wait sync.WaitGroup
			for n := range 16 {
				wait.Go(func() {
					own, err := Open(t.Context(), o)
					if err == nil {
						err = errors.Join(writeALot(t.Context(), own, n, 4), own.Close())
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			for _, table := range []string{"main.containers", "run.containers", "run.runs", "run.execs"} {
				if n := count(t, s, table); n != 0 {
					t.Errorf("%d rows in %s", n, table)
				}
			}
		})
	}
}

func TestManyProcesses(t *testing.T) {
	t.Parallel()
	o := place(t)
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			if out, err := command(t, "write", o).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wait.Wait()
	if ids, err := open(t, o).ListIDs(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestKilledWriter(t *testing.T) {
	t.Parallel()
	o := place(t)
	keep := open(t, o)
	add(t, keep, "keep=aa")
	for round := range 12 {
		cmd := command(t, "loop", o)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range 1 + round {
			if !lines.Scan() {
				t.Fatal("the child ended by itself")
			}
		}
		must(t, cmd.Process.Signal(syscall.SIGKILL))
		rest := ""
		for lines.Scan() {
			rest = lines.Text()
		}
		_ = cmd.Wait()
		if strings.HasPrefix(rest, "error") {
			t.Fatal(rest)
		}
		s := open(t, o)
		for _, schema := range []string{"main", "run"} {
			if !s.sound(t.Context(), s.db, schema) {
				t.Fatalf("round %d: %s is damaged", round, schema)
			}
		}
		all, err := s.List(t.Context())
		must(t, err)
		for _, c := range all {
			if c.ID != id("aa") {
				must(t, s.Remove(t.Context(), c.ID))
			}
		}
	}
	add(t, keep, "last=bb")
	must(t, keep.Remove(t.Context(), id("bb")))
	for _, table := range []string{"run.containers", "run.runs", "run.execs"} {
		if n := count(t, keep, table); n != 0 {
			t.Errorf("%d rows left in %s", n, table)
		}
	}
	if ids, err := keep.ListIDs(t.Context()); err != nil || len(ids) != 1 {
		t.Errorf("%v, %v", ids, err)
	}
}

func TestReserve(t *testing.T) {
	t.Parallel()
	o := place(t)
	s := open(t, o)
	exists := func() bool { return reserve.Size(o.GraphRoot) > 0 }
	_, err := s.List(t.Context())
	must(t, err)
	add(t, s, "~x=aa")
	if exists() {
		t.Error("made by a reader or for a volatile container")
	}
	add(t, s, "y=bb")
	if !exists() {
		t.Error("not made at the first durable record")
	}
	must(t, s.FreeReserve())
	must(t, s.FreeReserve())
	add(t, s, "z=cc")
	if exists() {
		t.Error("made again while it is needed")
	}
	must(t, s.EnsureReserve())
	if !exists() {
		t.Error("not made again")
	}
}

// TestFullDisk fills a small file system in namespaces of its own.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	cmd := command(t, "full", place(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || strings.Contains(string(out), "mount: ") {
		t.Skipf("no user and mount namespaces here: %v %s", err, out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// fillDisk runs in the child of TestFullDisk.
func fillDisk(ctx context.Context, graphRoot string) error {
	if err := unix.Mount("tmpfs", graphRoot, "tmpfs", 0, "size=24m"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	o := Options{GraphRoot: graphRoot, RunDir: os.Getenv("POD_STATE_TEST_RUNDIR"), BootID: "boot-1"}
	s, err := Open(ctx, o)
	if err != nil {
		return err
	}
	if err := errors.Join(s.Add(ctx, sample(1, false)), s.Add(ctx, sample(0, false)), s.Close()); err != nil {
		return err
	}
	if err := fillFile(filepath.Join(graphRoot, "ballast")); err != nil {
		return err
	}
	s, err = Open(ctx, o) // may or may not succeed: blocks of the -shm file
	if err == nil {
		for n := 2; err == nil && n < 1000; n++ {
			err = s.Add(ctx, sample(n, false))
		}
		err = errors.Join(err, s.Close())
	}
	if !errors.Is(err, ErrNoSpace) || strings.Contains(err.Error(), "disk I/O") {
		return fmt.Errorf("on a full disk: %w", err)
	}
	// Twice: what fills the disk again does not get what was held back.
	for n := range 2 {
		if err := reserve.Free(graphRoot); err != nil {
			return err
		}
		if s, err = Open(ctx, o); err != nil {
			return fmt.Errorf("open with the reserve freed: %w", err)
		}
		c, err := s.Lookup(ctx, sample(n, false).Name)
		if err != nil {
			return err
		}
		if err := errors.Join(s.Remove(ctx, c.ID), s.RetakeReserve(), s.Close()); err != nil {
			return fmt.Errorf("with the reserve freed: %w", err)
		}
		if reserve.Size(graphRoot) == 0 {
			return errors.New("nothing was taken back")
		}
		if err := fillFile(filepath.Join(graphRoot, fmt.Sprint("ballast", n))); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(graphRoot, "ballast")); err != nil {
		return err
	}
	if s, err = Open(ctx, o); err != nil {
		return err
	}
	if err := s.EnsureReserve(); err != nil {
		return err
	}
	if reserve.Size(graphRoot) == 0 {
		err = errors.New("the reserve was not made again")
	}
	return errors.Join(err, s.Close())
}

// fillFile writes until the disk is full.
func fillFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return f.Close()
}
