package debugtools

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestBuild(t *testing.T) {
	t.Parallel()
	img, err := Build()
	if errors.Is(err, ErrNotBuilt) {
		t.Skip("skip: make generate has not been run")
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := Build()
	if err != nil || again.ID != img.ID || again.Name != img.Name || !strings.HasPrefix(img.Name, Repository+":") {
		t.Errorf("%s %s, then %s %s, %v", img.Name, img.ID, again.Name, again.ID, err)
	}
	have := map[string]bool{}
	r := tar.NewReader(bytes.NewReader(img.Layer))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		have[h.Name] = true
	}
	for _, name := range []string{"bin/tools", "bin/sh", "bin/ls", "bin/ps", "bin/ip", "bin/wget", "bin/strace", "bin/nslookup", "bin/env", "etc/passwd", "tmp/"} {
		if !have[name] {
			t.Errorf("no %s in the layer", name)
		}
	}
}
