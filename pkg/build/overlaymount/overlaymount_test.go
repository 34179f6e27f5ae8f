package overlaymount

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	l, err := parse(`lowerdir=/a\:b:/c,upperdir=/u,workdir=/w,private,context="x"`)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.dirs(); !slices.Equal(got, []string{"/a:b", "/c"}) {
		t.Errorf("lower directories %q", got)
	}
	if got := l.options("userxattr"); got != `lowerdir=/a\:b:/c,upperdir=/u,workdir=/w,context="x",userxattr` {
		t.Errorf("options %q", got)
	}
	read, err := parse("lowerdir=/a:/empty,private")
	if err != nil || read.options() != "lowerdir=/a:/empty" {
		t.Errorf("read-only: %q, %v", read.options(), err)
	}
	if _, err := parse("upperdir=/u"); err == nil {
		t.Error("no error without a lowerdir")
	}
}

func TestMainRefusesOtherArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"-o", "x"}, {"-x", "lowerdir=/a", "/m"}, {"-o", "private", "/m"}} {
		if err := Main(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestShowRefusesSeveralLayers(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "b", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := show(layers{lower: dir + ":" + filepath.Join(dir, "b")}, dir)
	if err == nil || !strings.Contains(err.Error(), "one of several layers") {
		t.Errorf("%v", err)
	}
}
