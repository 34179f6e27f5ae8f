package ownercopy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// own keeps owners, so that tests need no root; the end-to-end scripts change them.
func own(uid, gid uint32) (newUID, newGID uint32) { return uid, gid }

// tree makes a directory with a file of each kind.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.MkdirAll(at("deep/er/yet"), 0o700))
	check(os.WriteFile(at("small"), []byte("text"), 0o640))
	check(os.WriteFile(at("empty"), nil, 0o400))
	check(os.WriteFile(at("large"), bytes.Repeat([]byte("0123456789abcdef"), 20000), 0o600))
	sparse, err := os.OpenFile(at("sparse"), os.O_RDWR|os.O_CREATE, 0o600)
	check(err)
	_, err = sparse.WriteAt([]byte("middle"), 5<<20)
	check(err)
	check(errors.Join(sparse.Truncate(20<<20), sparse.Close()))
	check(os.Symlink("../nowhere", at("deep/link")))
	check(os.Link(at("small"), at("deep/er/other")))
	check(unix.Mkfifo(at("deep/pipe"), 0o600))
	for i := range 3 * batch / 2 {
		check(os.WriteFile(at(fmt.Sprintf("deep/er/yet/%d", i)), []byte{byte(i)}, 0o600))
	}
	check(os.Chmod(at("large"), 0o4711))
	check(os.Chmod(at("deep"), 0o1755))
	if err := unix.Setxattr(at("large"), "user.note", []byte("kept"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	old := time.Unix(1e9, 5)
	for _, name := range []string{"small", "large", "deep/er/yet", "deep/er", "deep", "."} {
		check(os.Chtimes(at(name), old, old))
	}
	return dir
}

func TestTree(t *testing.T) {
	src := tree(t)
	for _, threads := range []int{1, 4} {
		dst := t.TempDir()
		told := int64(0)
		opts := Options{Owner: own, Threads: threads}
		if threads == 1 {
			opts.Progress = func(n int64) { told = n }
		}
		got, err := Tree(t.Context(), src, dst, opts)
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(7 + 3*batch/2); got.Files != want || threads == 1 && told != want {
			t.Errorf("%d files, told %d, want %d", got.Files, told, want)
		}
		if err := Same(t.Context(), src, dst, own); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"small", "large", "sparse", "deep/er/yet/700"} {
			want, err1 := os.ReadFile(filepath.Join(src, name))
			got, err2 := os.ReadFile(filepath.Join(dst, name))
			if err := errors.Join(err1, err2); err != nil || !bytes.Equal(want, got) {
				t.Errorf("%s differs: %v", name, err)
			}
		}
		checkKinds(t, dst)
	}
}

func checkKinds(t *testing.T, dst string) {
	t.Helper()
	var a, b, sparse syscall.Stat_t
	err := errors.Join(syscall.Stat(filepath.Join(dst, "small"), &a), syscall.Stat(filepath.Join(dst, "deep/er/other"), &b),
		syscall.Stat(filepath.Join(dst, "sparse"), &sparse))
	if err != nil || a.Ino != b.Ino || a.Nlink != 2 {
		t.Errorf("two names of a file: inodes %d and %d, %d links, %v", a.Ino, b.Ino, a.Nlink, err)
	}
	if sparse.Blocks > 4096 {
		t.Errorf("the sparse file takes %d blocks", sparse.Blocks)
	}
	if target, err := os.Readlink(filepath.Join(dst, "deep/link")); target != "../nowhere" {
		t.Errorf("link to %q, %v", target, err)
	}
	value := make([]byte, 10)
	if n, err := unix.Getxattr(filepath.Join(dst, "large"), "user.note", value); err == nil && string(value[:n]) != "kept" {
		t.Errorf("attribute %q", value[:n])
	}
}

func TestLink(t *testing.T) {
	src, dst := tree(t), t.TempDir()
	if _, err := Tree(t.Context(), src, dst, Options{Link: true}); err != nil {
		t.Fatal(err)
	}
	if err := Same(t.Context(), src, dst, own); err != nil {
		t.Error(err)
	}
	var a, b syscall.Stat_t
	if err := errors.Join(syscall.Stat(filepath.Join(src, "large"), &a), syscall.Stat(filepath.Join(dst, "large"), &b)); err != nil || a.Ino != b.Ino {
		t.Errorf("not one file: %v", err)
	}
}

func TestTreeFails(t *testing.T) {
	src := tree(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("enough")
	cancel(gone)
	if _, err := Tree(ctx, src, t.TempDir(), Options{}); !errors.Is(err, gone) {
		t.Errorf("cancelled: %v", err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "large"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Tree(t.Context(), src, full, Options{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("into a directory that is not empty: %v", err)
	}
	if _, err := Tree(t.Context(), filepath.Join(src, "none"), t.TempDir(), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}

func TestSame(t *testing.T) {
	src := tree(t)
	for name, damage := range map[string]func(dir string) error{
		"cut":   func(dir string) error { return os.Truncate(filepath.Join(dir, "large"), 3) },
		"empty": func(dir string) error { return os.Truncate(filepath.Join(dir, "small"), 0) },
		"gone":  func(dir string) error { return os.Remove(filepath.Join(dir, "deep/er/yet/3")) },
		"mode":  func(dir string) error { return os.Chmod(filepath.Join(dir, "deep"), 0o700) },
		"more":  func(dir string) error { return os.WriteFile(filepath.Join(dir, "deep/er/yet/x"), nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dst := t.TempDir()
			if _, err := Tree(t.Context(), src, dst, Options{}); err != nil {
				t.Fatal(err)
			}
			if err := damage(dst); err != nil {
				t.Fatal(err)
			}
			if err := Same(t.Context(), src, dst, own); !errors.Is(err, ErrDiffers) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestMapACL(t *testing.T) {
	c := copying{Options: Options{Owner: func(uid, gid uint32) (uint32, uint32) { return uid + 1, gid + 2 }}}
	acl := []byte{2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 5, 0, 0, 0, 8, 0, 7, 0, 5, 0, 0, 0}
	c.mapACL(acl)
	want := []byte{2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 6, 0, 0, 0, 8, 0, 7, 0, 7, 0, 0, 0}
	if !bytes.Equal(acl, want) {
		t.Errorf("got %v", acl)
	}
}
