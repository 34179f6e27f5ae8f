// Package cli holds what every command needs: the streams, the global flags,
// and the parts of pod, each opened the first time a command asks for it. It
// holds the exit codes too. Commands themselves are in the noun packages.
package cli

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/config"
	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/term"

	"github.com/rootless-pod/pod/internal/heapfloor"
	"github.com/rootless-pod/pod/internal/plainconf"
	"github.com/rootless-pod/pod/internal/reserve"
	"github.com/rootless-pod/pod/internal/self"
	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/settings"
	"github.com/rootless-pod/pod/pkg/storage"
)

// App is one run of the program.
type App struct {
	In       *os.File
	Out, Err io.Writer
	// LogErr takes what pod itself says of its work: Err, and syslog if wanted.
	LogErr io.Writer
	// Args is the command line, the program's name first.
	Args   []string
	Global Global
	// Start is when the process began, for --trace.
	Start time.Time
	Log   *slog.Logger
	// Freeing: the command gives room on the disk back. If it finds the disk full
	// it may have the reserve.
	Freeing bool
	// Garbage is the heap, in bytes, up to which a command that writes images collects
	// none; zero for as little as there can be.
	Garbage int

	// Tree makes the commands that another command line names, with flags that set
	// nothing of this one's.
	Tree func(args []string) *cobra.Command

	// Parts are what the program has that needs the image library.
	Parts Parts

	wanted  []string // commands that the command line names
	lent    atomic.Bool
	entry   rootless.Entry
	session *rootless.Session

	config  lazy[*config.Config]
	storage lazy[*storage.Store]
	images  lazy[Images]
	events  lazy[events.Log]
	engine  lazy[*libpod.Engine]

	settings lazy[settings.Settings]
}

// Global are the flags of every command.
type Global struct {
	Root, RunRoot, StorageDriver string
	StorageOpts                  []string
	VolumePath                   string
	Runtime                      string
	RuntimeFlags                 []string
	Conmon                       string
	CgroupManager                string
	EventsBackend                string
	LogLevel                     string
	RegistriesConf               string
	Modules                      []string
	Trace                        string
	// ImageStore keeps images elsewhere than in Root; Out takes what goes to
	// standard output.
	ImageStore, Out string
	// CDISpecDirs and HooksDirs replace the configured directories.
	CDISpecDirs, HooksDirs []string
	// DockerConfig is the directory of a docker client's configuration.
	DockerConfig string
	// TmpDir is where pod's own state of this boot is, instead of RunRoot.
	TmpDir string
	// NetworkConfigDir holds the definitions of networks.
	NetworkConfigDir string
	// Transient forgets containers with the boot; Syslog repeats what pod logs.
	Transient, Syslog bool
}

// lazy opens a part of pod once.
type lazy[T any] struct {
	once  sync.Once
	value T
	err   error
	close func() error
}

func (l *lazy[T]) get(open func() (T, func() error, error)) (T, error) {
	l.once.Do(func() { l.value, l.close, l.err = open() })
	return l.value, l.err
}

func (l *lazy[T]) shut() error {
	if l.close == nil {
		return nil
	}
	return l.close()
}

// New returns the App of this process.
func New(entry rootless.Entry, args []string, start time.Time) *App {
	return &App{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, LogErr: os.Stderr, Args: args, Start: start, entry: entry,
		Log: slog.New(slog.DiscardHandler),
	}
}

// Enter enters the user's namespaces; it may replace the process.
func (a *App) Enter(ctx context.Context) error {
	if a.session != nil {
		return nil
	}
	session, err := rootless.Enter(ctx, a.entry, a.Log)
	if err != nil {
		return err
	}
	a.session = session
	return nil
}

// EnterAs sets a session without entering anything, for tests.
func (a *App) EnterAs(session *rootless.Session) { a.session = session }

// Session says who runs pod and where; nil for a command in the host's view.
func (a *App) Session() *rootless.Session { return a.session }

// Entry is what was found before Go began, for commands in the host's view.
func (a *App) Entry() rootless.Entry { return a.entry }

// Self is the argument vector of pod with its global flags.
func (a *App) Self() ([]string, error) {
	path, err := self.Path()
	return append([]string{path}, a.Global.arguments()...), err
}

// FileMode is the mode of a file made for the user, as the umask says.
func (a *App) FileMode() fs.FileMode { return 0o666 &^ fs.FileMode(a.entry.Umask&0o777) } //nolint:gosec // nine bits

// HostUID is the user's id on the host, also before Enter.
func (a *App) HostUID() int { return a.entry.HostUID }

// Config is containers.conf with its drop-ins and modules. A command with several
// goroutines asks for it before it starts them: see plainconf.Read.
func (a *App) Config() (*config.Config, error) {
	return a.config.get(func() (*config.Config, func() error, error) {
		var conf *config.Config
		file := configfile.File{
			Name: "containers", Extension: "conf", EnvironmentName: "CONTAINERS_CONF", UserId: unshare.GetRootlessUID(), Modules: a.Global.Modules,
		}
		err := plainconf.Read(file, func() (err error) {
			conf, err = config.New(&config.Options{Modules: a.Global.Modules, SetDefault: true})
			return err
		})
		if err != nil {
			return nil, nil, fmt.Errorf("read containers.conf: %w", err)
		}
		return conf, nil, nil
	})
}

// Storage is the store of layers, as run and create use it.
func (a *App) Storage(ctx context.Context) (*storage.Store, error) {
	return a.storage.get(func() (*storage.Store, func() error, error) {
		a.lendReserve()
		store, warnings, err := storage.Open(ctx, a.StorageOptions())
		if err != nil {
			return nil, nil, err
		}
		for _, w := range warnings {
			a.Warn("%s", w)
		}
		return store, store.Close, nil
	})
}

// StorageOptions are the storage options of the command line.
func (a *App) StorageOptions() storage.Options {
	return storage.Options{
		Root: a.Global.Root, RunRoot: a.Global.RunRoot, Driver: a.Global.StorageDriver,
		ImageStore: a.Global.ImageStore, DriverOpts: a.Global.StorageOpts, Rootless: a.session != nil && a.session.Rootless, UID: a.entry.HostUID,
	}
}

// SmallHeap undoes what a short command gets (app.CalmCollector), as soon as garbage is
// collected: with blobs the heap would grow to several times of what is alive in it.
// What works on many files (Garbage) may have more.
func (a *App) SmallHeap() {
	switch {
	case a.Garbage > 0:
		heapfloor.Set(a.Garbage)
	case os.Getenv("GOGC") == "":
		runtime.AddCleanup(new([64]byte), func(percent int) { debug.SetGCPercent(percent) }, 75)
	}
}

// Events is the log of events, per configuration.
func (a *App) Events() (events.Log, error) {
	return a.events.get(func() (events.Log, func() error, error) {
		conf, err := a.Config()
		if err != nil {
			return nil, nil, err
		}
		paths, err := storage.Locate(a.StorageOptions())
		if err != nil {
			return nil, nil, err
		}
		backend := conf.Engine.EventsLogger
		if a.Global.EventsBackend != "" {
			backend = a.Global.EventsBackend
		}
		log, err := events.Open(backend, events.Options{
			GraphRoot: paths.Root, HostUID: a.entry.HostUID, Path: conf.Engine.EventsLogFilePath,
			MaxSize: int64(conf.Engine.EventsLogFileMaxSize), //nolint:gosec // a size
		})
		return log, nil, err
	})
}

// Record writes an event; that it could not be written is only worth a warning.
func (a *App) Record(kind events.Type, status events.Status, id, name string) {
	log, err := a.Events()
	if err == nil {
		err = log.Write(events.Event{Type: kind, Status: status, ID: id, Name: name})
	}
	if err != nil {
		a.Warn("the event %s of %s %s was not recorded: %v", status, kind, name, err)
	}
}

// Engine is the life cycle of containers on this user's store.
func (a *App) Engine(ctx context.Context) (*libpod.Engine, error) {
	return a.engine.get(func() (*libpod.Engine, func() error, error) {
		conf, err := a.Config()
		if err != nil {
			return nil, nil, err
		}
		paths, err := storage.Locate(a.StorageOptions())
		if err != nil {
			return nil, nil, err
		}
		log, err := a.Events()
		if err != nil {
			return nil, nil, err
		}
		self, err := a.Self()
		if err != nil {
			return nil, nil, err
		}
		a.lendReserve()
		e, err := libpod.Open(ctx, libpod.Options{
			ShareNetwork: func() (*bool, error) {
				s, err := a.Settings()
				return s.Network.Shared, err
			},
			Session: a.session, Config: conf, GraphRoot: paths.Root, RunRoot: paths.RunRoot,
			Storage: func() (*storage.Store, error) { return a.Storage(ctx) },
			DeleteStorage: func(ctx context.Context, id string) (bool, error) {
				return storage.DeleteUnopened(ctx, a.StorageOptions(), id)
			},
			Images: func() (libpod.Images, error) { return a.Images(ctx) },
			Files:  a.Parts.Files, CheckUpdates: a.Parts.CheckUpdates,
			Events: log, Self: self, Warn: func(s string) { a.Warn("%s", s) }, Tell: a.Tell,
			Stdio:   [3]*os.File{os.Stdin, os.Stdout, os.Stderr},
			Runtime: a.Global.Runtime, RuntimeFlags: a.Global.RuntimeFlags, Conmon: a.Global.Conmon,
			CgroupManager: a.Global.CgroupManager, VolumePath: a.Global.VolumePath, NotifySocket: os.Getenv("NOTIFY_SOCKET"), Sockets: libpod.SocketsOf(os.Getpid(), os.Getenv), Unit: os.Getenv(policy.UnitName),
			CDISpecDirs:      given(a.Global.CDISpecDirs, conf.Engine.CdiSpecDirs.Get()),
			HooksDirs:        given(a.Global.HooksDirs, conf.Engine.HooksDir.Get()),
			NetworkConfigDir: Absolute(a.Global.NetworkConfigDir),
			TmpDir:           Absolute(a.Global.TmpDir), Transient: a.Global.Transient || paths.Transient,
		})
		if err != nil {
			return nil, nil, err
		}
		return e, e.Close, nil
	})
}

// lendReserve frees the reserve of the store if the disk is full, for a command
// that gives room back: it could not even open what it is to remove. Close takes
// the reserve back.
func (a *App) lendReserve() {
	if !a.Freeing {
		return
	}
	if paths, err := storage.Locate(a.StorageOptions()); err == nil && reserve.Lend(paths.Root) {
		a.lent.Store(true)
	}
}

// arguments repeats the global flags for the clean-up that conmon starts.
func (g *Global) arguments() []string {
	var args []string
	add := func(name, value string) {
		if value != "" {
			args = append(args, "--"+name+"="+value)
		}
	}
	add("root", Absolute(g.Root))
	add("runroot", Absolute(g.RunRoot))
	add("imagestore", Absolute(g.ImageStore))
	add("storage-driver", g.StorageDriver)
	for _, opt := range g.StorageOpts {
		add("storage-opt", opt)
	}
	add("volumepath", Absolute(g.VolumePath))
	add("runtime", g.Runtime)
	for _, flag := range g.RuntimeFlags {
		add("runtime-flag", flag)
	}
	add("conmon", g.Conmon)
	add("cgroup-manager", g.CgroupManager)
	add("events-backend", g.EventsBackend)
	for _, m := range g.Modules {
		add("module", m)
	}
	for _, dir := range g.CDISpecDirs {
		add("cdi-spec-dir", Absolute(dir))
	}
	for _, dir := range g.HooksDirs {
		add("hooks-dir", Absolute(dir))
	}
	add("tmpdir", Absolute(g.TmpDir))
	if g.Syslog {
		add("syslog", "true")
	}
	return args
}

// given is what the command line says, or else the configuration.
func given(flags, configured []string) []string {
	if len(flags) == 0 {
		return configured
	}
	dirs := make([]string, len(flags))
	for i, dir := range flags {
		dirs[i] = Absolute(dir)
	}
	return dirs
}

// Absolute makes a path that the user named absolute.
func Absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// Redirect sends standard output to the file of --out.
func (a *App) Redirect() error {
	if a.Global.Out == "" {
		return nil
	}
	f, err := os.OpenFile(a.Global.Out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // as a shell would make it
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	a.Out = f
	return nil
}

// Warn prints one line to standard error.
func (a *App) Warn(format string, args ...any) {
	if a.Global.LogLevel == "error" || a.Global.LogLevel == "fatal" || a.Global.LogLevel == "panic" {
		return
	}
	fmt.Fprintf(a.LogErr, "WARN "+format+"\n", args...)
}

// Tell prints what takes long to standard error. A passing text is replaced by the
// next one, on a terminal; elsewhere it is left out.
func (a *App) Tell(text string, passing bool) {
	if !passing {
		fmt.Fprintln(a.LogErr, text)
		return
	}
	if f, ok := a.LogErr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(a.LogErr, "\r\x1b[K"+text)
	}
}

// Close closes what was opened, last first.
func (a *App) Close() error {
	if a.lent.Load() {
		// A precaution for the next time: the command has done its work.
		if paths, err := storage.Locate(a.StorageOptions()); err == nil {
			_ = reserve.Retake(paths.Root)
		}
	}
	for _, shut := range []func() error{a.engine.shut, a.events.shut, a.images.shut, a.storage.shut} {
		if err := shut(); err != nil {
			return err
		}
	}
	return nil
}
