// Package transfer moves the content of files between places that package filecopy
// has opened, and packs and unpacks it. It is apart from filecopy because it stands
// on buildah's copier, which costs each program that links it some of its start.
package transfer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/image/v5/pkg/compression"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/filecopy"
)

// Files copies and packs. It has no state: a value is what an engine is given that
// must not itself depend on the libraries of this package.
type Files struct{}

// Copy copies between two open places, which stay open.
func (Files) Copy(opts filecopy.Options, from, to *filecopy.Place) error {
	return (&job{Options: opts, from: side{from}, to: side{to}}).run()
}

func (j *job) run() error {
	if err := j.setOwner(); err != nil {
		return err
	}
	if j.from.isHost() && j.From.Path == "-" {
		return j.unpack()
	}
	src, err := j.from.source(j.From.Path)
	if err != nil {
		return err
	}
	defer src.file.Close()
	switch {
	case j.to.isHost() && j.To.Path == "-":
		return j.pack(src)
	case src.isDir():
		return j.directory(src)
	default:
		return j.single(src)
	}
}

// job is one copy whose two sides are open.
type job struct {
	filecopy.Options
	from, to side
	// owner gets what is made, in ids of pod's own namespace; nil keeps owners.
	owner *ids
}

// setOwner decides whose the copies are. On the host they are the user's.
func (j *job) setOwner() error {
	switch {
	case j.to.isHost():
		j.owner = &ids{os.Geteuid(), os.Getegid()}
	case j.Archive:
		owner, err := j.to.owner()
		if err != nil {
			return err
		}
		j.owner = &owner
	}
	return nil
}

// unpack puts the archive on In into a directory that exists.
func (j *job) unpack() error {
	dst, err := j.to.target(j.To.Path)
	if err != nil {
		return err
	}
	defer dst.close()
	if !dst.isDir() {
		return fmt.Errorf("destination %q %s must be a directory when an archive is copied from standard input", j.To.Path, j.to.where())
	}
	plain, _, err := compression.AutoDecompress(j.In)
	if err != nil {
		return fmt.Errorf("read the archive on standard input: %w", err)
	}
	defer plain.Close()
	return j.put(dst.dir, plain)
}

// pack writes src as an archive to Out.
func (j *job) pack(src *source) error {
	if !src.isDir() {
		return j.packFile(src)
	}
	prefix := src.name
	if src.contents {
		prefix = ""
	}
	return pipe(func(w io.Writer) error { return j.get(src.file, w, true) }, func(r io.Reader) error {
		return prefixArchive(r, j.Out, prefix, j.from.header(src))
	})
}

func (j *job) packFile(src *source) error {
	in, err := src.open()
	if err != nil {
		return err
	}
	defer in.Close()
	head := j.from.header(src)
	head.Name, head.Typeflag, head.Size = src.name, tar.TypeReg, src.st.Size
	var content io.Reader = in
	if head.Size == 0 { // files of /proc and /sys say so and have content
		data, err := io.ReadAll(io.LimitReader(in, maxSpecial))
		if err != nil {
			return fmt.Errorf("read %s: %w", src.path, err)
		}
		head.Size, content = int64(len(data)), strings.NewReader(string(data))
	}
	w := tar.NewWriter(j.Out)
	if err := w.WriteHeader(head); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	if _, err := io.CopyN(w, content, head.Size); err != nil {
		return fmt.Errorf("copy %s: %w", src.path, err)
	}
	return w.Close()
}

// single copies one file.
func (j *job) single(src *source) error {
	dst, err := j.to.target(j.To.Path)
	if err != nil {
		return err
	}
	defer dst.close()
	switch {
	case dst.isDir():
		// What stands there under the name is replaced, a link too.
		parent := dst.dir
		dst = &target{parent: parent, leaf: src.name, path: strings.TrimRight(dst.path, "/") + "/" + src.name}
		if err := dst.look(); err != nil {
			return err
		}
	case !dst.exists && dst.slash:
		return fmt.Errorf("destination directory %q %s does not exist: make it first, or leave out the slash: %w", j.To.Path, j.to.where(), unix.ENOENT)
	case dst.slash:
		return fmt.Errorf("destination %q %s: %w", j.To.Path, j.to.where(), unix.ENOTDIR)
	}
	if dst.exists && dst.st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if !j.Overwrite {
			return fmt.Errorf("cannot overwrite directory %q %s with a file: use --overwrite to replace it", dst.path, j.to.where())
		}
		if err := removeTree(dst.parent, dst.leaf); err != nil {
			return fmt.Errorf("remove %s: %w", dst.path, err)
		}
		dst.exists = false
	}
	in, err := src.open()
	if err != nil {
		return err
	}
	defer in.Close()
	if dst.exists && j.to.isHost() && dst.st.Mode&unix.S_IFMT != unix.S_IFREG {
		return dst.stream(in)
	}
	return j.writeFile(in, src, dst)
}

// directory copies a tree.
func (j *job) directory(src *source) error {
	dst, err := j.to.target(j.To.Path)
	if err != nil {
		return err
	}
	defer dst.close()
	if dst.isDir() && !src.contents {
		inner, err := j.to.target(strings.TrimRight(j.To.Path, "/") + "/" + src.name)
		if err != nil {
			return err
		}
		defer inner.close()
		dst = inner
	}
	if !dst.isDir() {
		if dst.exists {
			if !j.Overwrite {
				return fmt.Errorf("cannot copy a directory to a file: %q %s is not a directory: use --overwrite to replace it", dst.path, j.to.where())
			}
			if err := unix.Unlinkat(int(dst.parent.Fd()), dst.leaf, 0); err != nil {
				return fmt.Errorf("remove %s: %w", dst.path, err)
			}
		}
		if err := j.makeDir(src, dst); err != nil {
			return err
		}
	}
	inside, err := below(dst.dir, src.file)
	if err != nil {
		return err
	}
	if inside {
		return fmt.Errorf("cannot copy directory %q into itself, %q", j.From.Path, j.To.Path)
	}
	return pipe(func(w io.Writer) error { return j.get(src.file, w, false) }, func(r io.Reader) error { return j.put(dst.dir, r) })
}

// pipe runs a writer and a reader of one stream. The writer's error is the cause
// when both fail, unless it is that nobody read on.
func pipe(write func(io.Writer) error, read func(io.Reader) error) error {
	r, w := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		err := write(w)
		_ = w.CloseWithError(err) // nil is the end of the stream
		wrote <- err
	}()
	readErr := read(r)
	_ = r.CloseWithError(errUnread)
	writeErr := <-wrote
	if writeErr != nil && !strings.Contains(writeErr.Error(), errUnread.Error()) {
		return writeErr
	}
	return readErr
}

var errUnread = errors.New("the other side has ended")

// prefixArchive puts the entries of an archive of a directory's content below
// prefix, behind an entry of the directory itself.
func prefixArchive(r io.Reader, out io.Writer, prefix string, top *tar.Header) error {
	w := tar.NewWriter(out)
	if prefix != "" {
		top.Name, top.Typeflag = prefix+"/", tar.TypeDir
		if err := w.WriteHeader(top); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
	}
	in := tar.NewReader(r)
	for {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return w.Close()
		}
		if err != nil {
			return fmt.Errorf("copy the archive: %w", err)
		}
		slash := strings.HasSuffix(head.Name, "/")
		head.Name = filepath.Join(prefix, head.Name) //nolint:gosec // for whom unpacks it to check
		if slash {
			head.Name += "/"
		}
		if head.Typeflag == tar.TypeLink {
			head.Linkname = filepath.Join(prefix, head.Linkname) //nolint:gosec // as above
		}
		if err := w.WriteHeader(head); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
		if _, err := io.Copy(w, in); err != nil { //nolint:gosec // as large as what is copied
			return fmt.Errorf("copy the archive: %w", err)
		}
	}
}
