package e2e

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/rogpeppe/go-internal/testscript"
)

// bigFile is far more than a reasonable /etc/passwd.
const bigFile = 64 << 20

// hostile [OPTION...] NAME ITEM... makes an image as the image command does, of a
// busybox whose paths are replaced by the items, or, with -add, that are added
// under their names as they are:
//
//	PATH->TARGET   a symbolic link      PATH=>TARGET  a hard link
//	PATH:fifo      a named pipe         PATH:big      64 MiB of zeros
//	PATH:char      a device node (1,3)  PATH:file     a small file
//	PATH:dir       a directory
func hostileCommand(ts *testscript.TestScript, neg bool, args []string) {
	var o imageOptions
	flags := flag.NewFlagSet("hostile", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.bind(flags)
	add := flags.Bool("add", false, "")
	if err := flags.Parse(args); err != nil || neg || flags.NArg() < 2 {
		ts.Fatalf("usage: hostile [OPTION...] [-add] NAME ITEM... (%v)", err)
	}
	entries, err := busybox()
	ts.Check(err)
	var evil []entry
	for _, item := range flags.Args()[1:] {
		e, err := parseItem(item)
		ts.Check(err)
		if !*add {
			entries = slices.DeleteFunc(entries, func(have entry) bool {
				name := strings.Trim(have.header.Name, "/")
				return name == e.header.Name || strings.HasPrefix(name, e.header.Name+"/")
			})
		}
		evil = append(evil, e)
	}
	img := empty.Image
	if *add {
		img, err = addLayer(img, entries)
		ts.Check(err)
		img, err = addLayer(img, evil)
	} else {
		img, err = addLayer(img, append(entries, evil...))
	}
	ts.Check(err)
	made, err := configure(img, o)
	ts.Check(err)
	ts.Check(deliver(ts, made, flags.Arg(0), o))
}

func parseItem(item string) (entry, error) {
	if path, target, ok := strings.Cut(item, "->"); ok {
		return link(path, target), nil
	}
	if path, target, ok := strings.Cut(item, "=>"); ok {
		return entry{header: tar.Header{Name: path, Typeflag: tar.TypeLink, Linkname: target, Mode: 0o644}}, nil
	}
	path, kind, _ := strings.Cut(item, ":")
	switch kind {
	case "fifo":
		return entry{header: tar.Header{Name: path, Typeflag: tar.TypeFifo, Mode: 0o666}}, nil
	case "big":
		return file(path, string(bytes.Repeat([]byte{0}, bigFile)), 0o644), nil
	case "char":
		return entry{header: tar.Header{Name: path, Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3}}, nil
	case "file":
		return file(path, "evil\n", 0o644), nil
	case "dir":
		return dir(path), nil
	}
	return entry{}, fmt.Errorf("item %q: use PATH->TARGET, PATH=>TARGET or PATH:fifo|big|char|file|dir", item)
}

// canary makes $CANARY, a directory of the host that hostile images point at and
// that everybody may write to. canary -check fails if it was changed, or is
// mounted anywhere.
func canaryCommand(ts *testscript.TestScript, neg bool, args []string) {
	box := boxOf(ts)
	dir := filepath.Join(box.base, "canary")
	switch {
	case neg:
		ts.Fatalf("usage: canary [-check]")
	case len(args) == 0:
		ts.Setenv("CANARY", dir)
		ts.Check(os.MkdirAll(filepath.Join(dir, "sub"), 0o777))
		for name, content := range map[string]string{
			"secret": "root:x:0:0:secret-of-the-host:/root:/bin/sh\nhost:x:0:0:secret-of-the-host:/:/bin/sh\n", "sub/file": "as it was\n", "empty": "",
		} {
			ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666))
			ts.Check(os.Chmod(filepath.Join(dir, name), 0o666))
		}
		ts.Check(os.Chmod(dir, 0o777))
		box.canary = state(ts, dir)
	case args[0] == "-check":
		if now := state(ts, dir); now != box.canary {
			ts.Fatalf("the host was changed: before\n%s\nnow\n%s", box.canary, now)
		}
		mounts, err := box.command("pod", "unshare", "cat", "/proc/self/mountinfo")
		ts.Check(err)
		// Another script may mount its own.
		if bytes.Contains(mounts, []byte(filepath.Join(filepath.Base(box.base), "canary"))) {
			ts.Fatalf("the canary is mounted:\n%s", mounts)
		}
	}
}

// state describes a tree: names, modes, owners, times and content.
func state(ts *testscript.TestScript, root string) string {
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			content, err = os.ReadFile(path)
		}
		var uid, gid uint32
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = stat.Uid, stat.Gid
		}
		fmt.Fprintf(&all, "%s %s %d:%d %s %q\n", path, info.Mode(), uid, gid, info.ModTime(), content)
		return err
	})
	ts.Check(err)
	return all.String()
}

// survive CMD... runs CMD, whatever its exit code is, but not for ever.
func survive(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: survive COMMAND...")
	}
	code, err := exitCode(ts.Exec("timeout", append([]string{"-s", "KILL", "30"}, args...)...))
	ts.Check(err)
	if code == 124 || code == 128+9 {
		ts.Fatalf("it hangs")
	}
}
