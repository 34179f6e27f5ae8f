package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rootless-pod/pod/internal/decompress"
)

// maxMembers is far more than the files of an archive of images: three a layer.
const maxMembers = 100_000

// vet looks through an archive or directory of images before the libraries do:
// they follow its links, open what is no file, and unpack it whatever its size.
// It returns where to read it (a compressed archive is unpacked, a pipe is kept
// in a file) and what to do afterwards.
func (s *Store) vet(ctx context.Context, name string) (read string, done func(), err error) {
	done = func() {}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return "", done, explain(name, err)
	case info.IsDir():
		return name, done, vetDir(name)
	}
	f, err := os.Open(name) //nolint:gosec // the user named it
	if err != nil {
		return "", done, explain(name, err)
	}
	defer func() { _ = f.Close() }()
	read = name
	if !info.Mode().IsRegular() { // can be read once only
		if read, err = s.spool(ctx, f); err != nil {
			return "", done, err
		}
		drop := read
		done = func() { _ = os.Remove(drop) }
		_ = f.Close()
		if f, err = os.Open(read); err != nil {
			return "", done, explain(name, err)
		}
	}
	stream, compressed, err := decompress.Stream(name, f)
	if err != nil {
		return read, done, nil //nolint:nilerr // no archive: the libraries say so
	}
	defer func() { _ = stream.Close() }()
	if compressed {
		plain, err := s.spool(ctx, stream)
		before := done
		done = func() { before(); _ = os.Remove(plain) }
		if err != nil {
			return "", done, explain(name, err)
		}
		// The policy knows OCI archives by their paths: those are read where they are.
		oci, err := vetFile(name, plain)
		if !oci {
			read = plain
		}
		return read, done, err
	}
	_, err = vetFile(name, read)
	return read, done, err
}

// vetSource is vet for a reference such as oci-archive:PATH, which is read where it
// is.
func (s *Store) vetSource(ctx context.Context, ref string) error {
	source := sourcePath(ref)
	if _, err := os.Stat(source); err != nil {
		return nil //nolint:nilerr // who reads it will say so
	}
	_, done, err := s.vet(ctx, source)
	done()
	return err
}

// measureImport reads a compressed archive through: is it a bomb? Small ones
// cannot become big.
func measureImport(ctx context.Context, name string) error {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() < decompress.Small {
		return nil //nolint:nilerr // who reads it will say so
	}
	f, err := os.Open(name) //nolint:gosec // the user named it
	if err != nil {
		return explain(name, err)
	}
	defer func() { _ = f.Close() }()
	stream, compressed, err := decompress.Stream(name, f)
	if err != nil || !compressed {
		return nil //nolint:nilerr // as above
	}
	defer func() { _ = stream.Close() }()
	_, err = io.Copy(io.Discard, contextReader{ctx, stream})
	var bomb *decompress.BombError
	if errors.As(err, &bomb) {
		return bomb
	}
	return nil
}

// vetDir looks at a layout or a dir: image: files, directories, and links to
// files that stay inside.
func vetDir(root string) error {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return explain(root, err)
	}
	members := 0
	return filepath.WalkDir(real, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return explain(root, err)
		}
		if members++; members > maxMembers {
			return tooMany(root)
		}
		kind := d.Type()
		if kind&fs.ModeSymlink != 0 {
			target, err := filepath.EvalSymlinks(file)
			if err != nil {
				return refuse(root, real, file, "leads nowhere")
			}
			if target != real && !strings.HasPrefix(target, real+"/") {
				return refuse(root, real, file, "leads outside: copy the directory with cp -rL if you trust it")
			}
			info, err := os.Lstat(target)
			if err != nil {
				return explain(root, err)
			}
			kind = info.Mode().Type()
		}
		if kind != 0 && kind != fs.ModeDir {
			return refuse(root, real, file, "is neither a file nor a directory")
		}
		return nil
	})
}

func refuse(root, real, file, why string) error {
	return &Error{Name: root, Reason: fmt.Sprintf("no image is read from it: %s %s", strings.TrimPrefix(file, real+"/"), why)}
}

func tooMany(name string) error {
	return &Error{Name: name, Reason: fmt.Sprintf("no image is read from it: it has more than %d members", maxMembers)}
}

// vetFile looks through the headers of an archive, and says whether it is one of
// an OCI layout. What is no archive is left to the libraries.
func vetFile(name, file string) (oci bool, err error) {
	f, err := os.Open(file) //nolint:gosec // the user named it
	if err != nil {
		return false, explain(name, err)
	}
	defer func() { _ = f.Close() }()
	return vetArchive(name, f)
}

func vetArchive(name string, r io.Reader) (oci bool, err error) {
	in := tar.NewReader(r)
	links := map[string]bool{}
	documents := map[string]bool{}
	var members []string
	for {
		head, err := in.Next()
		if err != nil {
			break // its end, or no archive
		}
		if members = append(members, path.Clean(head.Name)); len(members) > maxMembers {
			return false, tooMany(name)
		}
		if why := vetMember(head, documents, links); why != "" {
			return false, &Error{Name: name, Reason: fmt.Sprintf("no image is read from it: its member %q %s", head.Name, why)}
		}
	}
	if len(links) == 0 {
		return documents["index.json"], nil
	}
	for _, member := range members {
		for dir := path.Dir(member); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if links[dir] {
				return false, &Error{Name: name, Reason: fmt.Sprintf("no image is read from it: its member %q lies behind a link", member)}
			}
		}
	}
	return documents["index.json"], nil
}

// vetMember says what is wrong with a member; "" is nothing.
func vetMember(head *tar.Header, documents, links map[string]bool) string {
	clean := path.Clean(head.Name)
	if path.IsAbs(head.Name) || clean == ".." || strings.HasPrefix(clean, "../") {
		return "has a name that leads outside"
	}
	switch clean {
	case "manifest.json", "index.json", "oci-layout", "repositories":
		if documents[clean] {
			return "is there twice"
		}
		documents[clean] = true
	}
	switch head.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeXGlobalHeader, tar.TypeGNUSparse, tar.TypeCont, '\x00':
		return ""
	case tar.TypeSymlink:
		links[clean] = true
		if !inside(path.Dir(clean), head.Linkname) {
			return "is a link that leads outside"
		}
	case tar.TypeLink:
		if !inside(".", head.Linkname) {
			return "is a link that leads outside"
		}
	default:
		return "is neither a file nor a directory"
	}
	return ""
}

// inside says whether the target of a link in dir stays inside whatever other
// links there are: it goes up first, not further than to the root, and then down.
func inside(dir, target string) bool {
	if target == "" || path.IsAbs(target) {
		return false
	}
	depth := 0
	if dir != "." {
		depth = strings.Count(dir, "/") + 1
	}
	down := false
	for name := range strings.SplitSeq(target, "/") {
		switch name {
		case "", ".":
		case "..":
			if down || depth == 0 {
				return false
			}
			depth--
		default:
			down = true
		}
	}
	return true
}
