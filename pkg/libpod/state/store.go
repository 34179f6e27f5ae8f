package state

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
)

// Options say where the state is.
type Options struct {
	// GraphRoot is the image store's directory; pod's is "pod" below it.
	GraphRoot string
	// RunDir is the run directory, on tmpfs.
	RunDir string
	// BootID is the kernel's boot id; empty reads it.
	BootID string
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	// durable and volatile replace the migrations in tests.
	durable, volatile []migration
	// journal replaces the choice of the durable file's journal in tests.
	journal string
}

// Store is the open state. It is safe for use by several goroutines, which take
// turns: it holds one connection, so that one transaction covers both files.
type Store struct {
	db       *sql.DB
	bootID   string
	now      func() time.Time
	dir      string // <graph root>/pod
	durable  string
	volatile string
	locks    string
	// otherBoot: run.db was last purged in another boot; the first writer
	// purges it.
	otherBoot atomic.Bool
	// claim: the durable file does not name our run directory yet; the first
	// writer notes it.
	claim atomic.Bool
	// fresh is otherBoot as it was when the Store was opened.
	fresh bool
	// reserveSeen: the reserve was looked after, or freed, by this Store.
	reserveSeen atomic.Bool
}

// busyTimeout bounds the wait for another process' write transaction. These
// last milliseconds; without a timeout most of 64 writers at once fail.
const busyTimeout = 10 * time.Second

// Open opens the state, creating files and schema where there are none.
// Nothing is written when they exist and are of the present schema.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.GraphRoot == "" || o.RunDir == "" {
		return nil, errors.New("open state: graph root and run directory must be given")
	}
	if o.BootID == "" {
		b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			return nil, fmt.Errorf("read boot id: %w", err)
		}
		o.BootID = strings.TrimSpace(string(b))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.durable == nil {
		o.durable = durableSchema()
	}
	if o.volatile == nil {
		o.volatile = volatileSchema()
	}
	s := &Store{
		bootID: o.BootID, now: o.Now,
		dir:      filepath.Join(o.GraphRoot, "pod"),
		durable:  filepath.Join(o.GraphRoot, "pod", "state.db"),
		volatile: filepath.Join(o.RunDir, "run.db"),
		locks:    filepath.Join(o.RunDir, "locks"),
	}
	for _, path := range []string{s.durable, s.volatile} {
		if err := ensureFile(path); err != nil {
			return nil, openError(path, path == s.volatile, err)
		}
	}
	s.db = sql.OpenDB(&connector{durable: s.durable, volatile: s.volatile})
	// One connection: ATTACH is of a connection, and a process of pod has no
	// use for parallel queries.
	s.db.SetMaxOpenConns(1)
	if err := s.prepare(context.WithoutCancel(ctx), o); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// ensureFile makes an empty file where there is none: SQLite would make one that
// all can read, and records hold environments. Its other files take the mode
// from this one.
func ensureFile(path string) error {
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err = os.OpenFile(path, flags, 0o600)
	}
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// Close closes the files.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close state %s: %w", s.durable, err)
	}
	return nil
}

// Fresh reports whether nothing was recorded in the run directory in this boot
// when the Store was opened: the machine was started again, or the directory was
// deleted under what runs.
func (s *Store) Fresh() bool { return s.fresh }

// BootID returns the boot whose rows the Store sees.
func (s *Store) BootID() string { return s.bootID }

// prepare brings both files to the present schema and notes the boot.
func (s *Store) prepare(ctx context.Context, o Options) error {
	c, err := s.db.Conn(ctx)
	if err != nil {
		return err // the connector has named the file
	}
	defer func() { _ = c.Close() }()
	durable, volatile, err := s.versions(ctx, c)
	if err != nil {
		return err
	}
	if durable != len(o.durable) || volatile != len(o.volatile) {
		if err := s.create(ctx, c, o); err != nil {
			return err
		}
	}
	var boot string
	if err := c.QueryRowContext(ctx, "SELECT id FROM run.boot").Scan(&boot); err != nil {
		return openError(s.volatile, true, err)
	}
	s.fresh = boot != s.bootID
	s.otherBoot.Store(s.fresh)
	return s.checkHome(ctx, c)
}

// versions reads the schema versions of both files.
func (s *Store) versions(ctx context.Context, c *sql.Conn) (durable, volatile int, err error) {
	if durable, err = schemaVersion(ctx, c, "main"); err != nil {
		return 0, 0, openError(s.durable, false, err)
	}
	if volatile, err = schemaVersion(ctx, c, "run"); err != nil {
		return 0, 0, openError(s.volatile, true, err)
	}
	return durable, volatile, nil
}

// create makes or migrates the schemas. One process at a time: two that switch
// the journal of a new file at once make SQLite refuse one of them, without
// regard to the timeout.
func (s *Store) create(ctx context.Context, c *sql.Conn, o Options) (err error) {
	turn, err := os.OpenFile(filepath.Join(s.dir, "schema.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		defer func() { err = errors.Join(err, turn.Close()) }()
		err = flock.Lock(turn, unix.LOCK_EX)
	}
	if err != nil {
		return openError(s.durable, false, err)
	}
	durable, volatile, err := s.versions(ctx, c)
	if err != nil {
		return err
	}
	// The journal mode is remembered by the file and cannot be changed inside
	// a transaction.
	if durable == 0 {
		mode := o.journal
		if mode == "" {
			mode = journalMode(s.dir)
		}
		if _, err := c.ExecContext(ctx, "PRAGMA main.journal_mode = "+mode); err != nil {
			return openError(s.durable, false, err)
		}
	}
	if volatile == 0 {
		if _, err := c.ExecContext(ctx, "PRAGMA run.journal_mode = WAL"); err != nil {
			return openError(s.volatile, true, err)
		}
	}
	err = inTx(ctx, c, beginBoth, func(c *sql.Conn) error {
		if err := migrate(ctx, c, "main", s.durable, o.durable); err != nil {
			return openError(s.durable, false, err)
		}
		if err := migrate(ctx, c, "run", s.volatile, o.volatile); err != nil {
			return openError(s.volatile, true, err)
		}
		return nil
	})
	if err != nil {
		return openError(s.durable, false, err)
	}
	if durable == 0 {
		return syncDirs(s.dir, o.GraphRoot)
	}
	return nil
}

// syncDirs makes new directory entries last.
func syncDirs(dirs ...string) error {
	for _, dir := range dirs {
		f, err := os.Open(dir)
		if err != nil {
			return fmt.Errorf("sync directory: %w", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return openError(dir, false, err)
		}
	}
	return nil
}

// openError names the file of an error, once.
func openError(path string, volatile bool, err error) error {
	var newer ErrNewer
	var corrupt ErrCorrupt
	switch {
	case errors.Is(err, ErrNoSpace) || errors.As(err, &newer) || errors.As(err, &corrupt):
		return err
	case isFull(err):
		return fmt.Errorf("state file %s: %w", path, ErrNoSpace)
	case isDamaged(err):
		return ErrCorrupt{Path: path, Volatile: volatile, Err: err}
	}
	var named *os.PathError
	if errors.As(err, &named) { // it may be a directory on the way that is refused
		path, err = named.Path, named.Err
	}
	return fmt.Errorf("open state %s: %w", path, err)
}

// connector opens the one connection of a Store: both files and their settings.
type connector struct{ durable, volatile string }

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) {
	// A URI, so that no character of the path is taken for a parameter. The
	// mutex of SQLite is not needed: database/sql lets one goroutine in.
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: c.durable}).String() +
		fmt.Sprintf("?_mutex=no&_sync=FULL&_busy_timeout=%d", busyTimeout.Milliseconds())
	dc, err := (&sqlite3.SQLiteDriver{}).Open(dsn)
	if err != nil {
		return nil, openError(c.durable, false, err)
	}
	conn, ok := dc.(*sqlite3.SQLiteConn)
	if !ok {
		return nil, fmt.Errorf("open state %s: unexpected connection %T", c.durable, dc)
	}
	if err := c.set(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// set attaches run.db and applies what SQLite does not remember by itself.
func (c *connector) set(conn *sqlite3.SQLiteConn) error {
	// Keeping the -wal file saves the last process that closes its unlink
	// (milliseconds on a disk with discard); on tmpfs it would cost instead.
	if err := conn.SetFileControlInt("main", sqlite3.SQLITE_FCNTL_PERSIST_WAL, 1); err != nil {
		return openError(c.durable, false, err)
	}
	// Emptied at the last close: whoever comes next would recover what is in
	// it, and write it to the database again when it closes, a reader too.
	if _, err := conn.Exec("PRAGMA main.journal_size_limit = 0", nil); err != nil {
		return openError(c.durable, false, err)
	}
	if _, err := conn.Exec("ATTACH ? AS run", []driver.Value{c.volatile}); err != nil {
		return openError(c.volatile, true, err)
	}
	// A crash of the machine ends the run directory anyway.
	if _, err := conn.Exec("PRAGMA run.synchronous = OFF", nil); err != nil {
		// The first statement to read a file: name the right one.
		if _, main := conn.Exec("PRAGMA main.schema_version", nil); main != nil {
			return openError(c.durable, false, main)
		}
		return openError(c.volatile, true, err)
	}
	return nil
}

// journalMode is WAL, so that readers never wait, but not where the kernel
// cannot share a memory map between machines: there the rollback journal.
func journalMode(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "DELETE"
	}
	return journalModeOf(uint32(st.Type)) //nolint:gosec // magic numbers have 32 bits
}

// journalModeOf decides by the file system's magic number (statfs(2)).
func journalModeOf(magic uint32) string {
	const (
		cifs, smb2, ceph = 0xff534d42, 0xfe534d42, 0x00c36400
		lustre, gpfs     = 0x0bd00bd0, 0x47504653
	)
	switch magic {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.V9FS_MAGIC, unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC,
		unix.CODA_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC, cifs, smb2, ceph, lustre, gpfs:
		return "DELETE"
	}
	return "WAL"
}
