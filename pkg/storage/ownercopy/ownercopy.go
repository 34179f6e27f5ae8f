// Package ownercopy copies directory trees of image layers and gives the files
// other owners on the way, with several threads. Where the file system can share
// data between files (FICLONE: btrfs, xfs) only metadata is written. What a layer
// is, where copies lie and who may use them is left to pkg/storage.
package ownercopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// batch is how many entries of one directory a thread takes: large directories
// are shared between threads.
const batch = 512

// Options say how a tree is copied.
type Options struct {
	// Owner gives the owner in the copy; nil leaves owners as they are.
	Owner func(uid, gid uint32) (newUID, newGID uint32)
	// Link links regular files instead of copying them: for a copy that has the
	// same owners.
	Link bool
	// Threads is the number of threads; 0 means as many as are good.
	Threads int
	// Progress is told, at times and by several threads, how many files there are
	// by now.
	Progress func(files int64)
}

// Result is what a copy has come to.
type Result struct {
	// Files counts everything but directories; Shared those whose data is shared
	// with the original.
	Files, Shared int64
}

// Tree copies what is in the directory src into the directory dst, which is
// empty, and gives dst itself the owner, mode and times of src. After an error
// dst holds a part.
func Tree(ctx context.Context, src, dst string, opts Options) (Result, error) {
	from, err := os.Open(src)
	if err != nil {
		return Result{}, fmt.Errorf("copy %s: %w", src, err)
	}
	defer from.Close()
	to, err := os.Open(dst)
	if err != nil {
		return Result{}, fmt.Errorf("copy %s: %w", src, err)
	}
	defer to.Close()
	c := &copying{
		Options: opts, from: int(from.Fd()), to: int(to.Fd()), links: map[inode]*linked{},
		dirs: []string{"."}, queue: []work{{dir: "."}}, open: 1,
	}
	c.wake.L = &c.mu
	if c.Threads <= 0 {
		c.Threads = min(16, max(4, runtime.NumCPU()))
	}
	stop := context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	defer stop()
	var threads sync.WaitGroup
	for range c.Threads {
		threads.Go(c.thread)
	}
	threads.Wait()
	if c.err == nil {
		c.err = c.finish()
	}
	if c.err != nil {
		return Result{}, fmt.Errorf("copy %s: %w", src, c.err)
	}
	return Result{Files: c.files.Load(), Shared: c.shared.Load()}, nil
}

// inode is a file of several names.
type inode struct{ dev, ino uint64 }

// linked is the first name of such a file in the copy, and the others.
type linked struct {
	first  string
	others []string
}

// work is a directory to read, or entries of one to copy.
type work struct {
	dir   string
	names []string
}

// copying is one copy. Directories are made at once, but get their owners, modes
// and times at the end, when nothing is put into them any more.
type copying struct {
	Options

	from, to int

	files, shared atomic.Int64
	// noShare is set when the file system has refused to share data.
	noShare atomic.Bool

	mu    sync.Mutex
	wake  sync.Cond
	queue []work
	// open counts what is queued or being done.
	open  int
	err   error
	dirs  []string
	links map[inode]*linked
}

func (c *copying) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.wake.Broadcast()
}

// add queues what a thread found.
func (c *copying) add(more ...work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, more...)
	c.open += len(more)
	c.wake.Broadcast()
}

// next waits for something to do; false means that there will be nothing more.
func (c *copying) next() (work, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && c.open > 0 && c.err == nil {
		c.wake.Wait()
	}
	if c.err != nil || len(c.queue) == 0 {
		return work{}, false
	}
	w := c.queue[len(c.queue)-1]
	c.queue = c.queue[:len(c.queue)-1]
	return w, true
}

func (c *copying) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.open == 0 {
		c.wake.Broadcast()
	}
}

func (c *copying) thread() {
	f := files{copying: c, buf: make([]byte, small)}
	for {
		w, ok := c.next()
		if !ok {
			return
		}
		if err := f.do(w); err != nil {
			c.fail(err)
		}
		c.done()
		if c.Progress != nil {
			c.Progress(c.files.Load())
		}
	}
}

// do reads a directory, or copies some of its entries.
func (f *files) do(w work) error {
	dir, err := openDir(f.from, w.dir)
	if err != nil {
		return fmt.Errorf("%s: %w", w.dir, err)
	}
	defer dir.Close()
	to, err := openDir(f.to, w.dir)
	if err != nil {
		return fmt.Errorf("%s: %w", w.dir, err)
	}
	defer to.Close()
	f.dir, f.in, f.out = w.dir, int(dir.Fd()), int(to.Fd())
	if w.names != nil {
		return f.entries(w.names)
	}
	first := true
	var mine []string
	for {
		names, err := dir.Readdirnames(batch)
		if errors.Is(err, io.EOF) {
			return f.entries(mine)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w.dir, err)
		}
		if first {
			mine, first = names, false
			continue
		}
		f.add(work{dir: w.dir, names: names})
	}
}

// openDir opens a directory of a tree whose parts are all directories.
func openDir(root int, rel string) (*os.File, error) {
	fd, err := unix.Openat2(root, rel, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), rel), nil
}

// finish makes the further names of files, then completes the directories, those
// below first.
func (c *copying) finish() error {
	for _, file := range c.links {
		for _, name := range file.others {
			if err := unix.Linkat(c.to, file.first, c.to, name, 0); err != nil {
				return fmt.Errorf("link %s: %w", name, err)
			}
		}
	}
	for i := len(c.dirs) - 1; i >= 0; i-- {
		if err := c.finishDir(c.dirs[i]); err != nil {
			return fmt.Errorf("%s: %w", c.dirs[i], err)
		}
	}
	return nil
}

func (c *copying) finishDir(rel string) error {
	from, err := openDir(c.from, rel)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := openDir(c.to, rel)
	if err != nil {
		return err
	}
	defer to.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &st); err != nil {
		return err
	}
	if err := c.complete(int(from.Fd()), int(to.Fd()), &st); err != nil {
		return err
	}
	return unix.UtimesNanoAt(c.to, rel, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// first says whether a file of several names is seen for the first time; else
// its name is made at the end.
func (c *copying) first(st *unix.Stat_t, rel string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := inode{dev: uint64(st.Dev), ino: st.Ino} //nolint:unconvert // the type differs between architectures
	if file, seen := c.links[key]; seen {
		file.others = append(file.others, rel)
		return false
	}
	c.links[key] = &linked{first: rel}
	return true
}

// madeDir notes a directory and queues what is in it.
func (c *copying) madeDir(rel string) {
	c.mu.Lock()
	c.dirs = append(c.dirs, rel)
	c.mu.Unlock()
	c.add(work{dir: rel})
}
