package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSaveLoad(t *testing.T) {
	ctx := t.Context()
	host := serve(t, false, nil)
	img := makeImage(t, "amd64", "saved")
	ref := host + "/app:v1"
	push(t, ref, img)
	from := newStore(t, Options{})
	if _, err := from.Pull(ctx, ref, plainHTTP()); err != nil {
		t.Fatal(err)
	}
	oci, err := from.ImportReader(ctx, bytes.NewReader(archiveOf(t, "x", "y")), ImportOptions{Reference: "localhost/oci:v1"})
	if err != nil {
		t.Fatal(err)
	}
	// Within a family of formats the id stays; from docker's documents to OCI's
	// the configuration is written anew.
	for format, source := range map[string]struct{ ref, id string }{
		FormatDockerArchive: {ref, idOf(t, img)}, FormatDockerDir: {ref, idOf(t, img)},
		FormatOCIArchive: {"localhost/oci:v1", oci}, FormatOCIDir: {"localhost/oci:v1", oci},
	} {
		t.Run(format, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out")
			if err := from.Save(ctx, []string{source.ref}, path, SaveOptions{Format: format}); err != nil {
				t.Fatal(err)
			}
			to := newStore(t, Options{})
			names, err := to.Load(ctx, path, LoadOptions{})
			if err != nil || len(names) != 1 {
				t.Fatalf("load: %v %v", names, err)
			}
			config, err := to.Resolve(ctx, names[0])
			if err != nil {
				t.Fatal(err)
			}
			if config.ID != source.id {
				t.Errorf("id %s, want %s", config.ID, source.id)
			}
			if named := format == FormatDockerArchive || format == FormatOCIArchive; named && config.Name != source.ref {
				t.Errorf("name %q, want %q", config.Name, source.ref)
			}
		})
	}
	taken := filepath.Join(t.TempDir(), "taken")
	write(t, taken, "mine")
	if err := from.Save(ctx, []string{ref}, taken, SaveOptions{}); err == nil {
		t.Error("save over a file that is no archive")
	}
	if raw, err := os.ReadFile(taken); err != nil || string(raw) != "mine" {
		t.Errorf("the user's file was touched: %q %v", raw, err)
	}
	if err := from.Save(ctx, []string{"nothing"}, filepath.Join(t.TempDir(), "x"), SaveOptions{}); !errors.Is(err, ErrNoImage) {
		t.Errorf("save of nothing: %v", err)
	}
	if _, err := from.Load(ctx, taken, LoadOptions{}); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("load of rubbish: %v", err)
	}
}

func TestSaveSeveral(t *testing.T) {
	ctx := t.Context()
	store := newStore(t, Options{})
	var ids []string
	for i := range 2 {
		id, err := store.ImportReader(ctx, bytes.NewReader(archiveOf(t, "f", fmt.Sprint(i))),
			ImportOptions{Reference: fmt.Sprintf("localhost/i%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	path := filepath.Join(t.TempDir(), "two.tar")
	if err := store.Save(ctx, []string{"i0", "i1"}, path, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	to := newStore(t, Options{})
	names, err := to.LoadReader(ctx, f, LoadOptions{})
	if err != nil || len(names) != 2 {
		t.Fatalf("load: %v %v", names, err)
	}
	for i, id := range ids {
		if config, err := to.Resolve(ctx, fmt.Sprintf("i%d", i)); err != nil || config.ID != id {
			t.Errorf("i%d: %s %v, want %s", i, config.ID, err, id)
		}
	}
}

func TestImport(t *testing.T) {
	ctx := t.Context()
	store := newStore(t, Options{})
	id, err := store.ImportReader(ctx, bytes.NewReader(archiveOf(t, "bin/x", "x")), ImportOptions{
		Reference: "localhost/imp:1", Message: "made by hand",
		Changes: []string{"CMD /bin/x", `ENTRYPOINT ["/bin/y"]`, "ENV A=B", "LABEL l=m", "WORKDIR /w", "USER u"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := store.Resolve(ctx, "localhost/imp:1")
	if err != nil {
		t.Fatal(err)
	}
	if config.ID != id || !slices.Equal(config.Entrypoint, []string{"/bin/y"}) || !slices.Contains(config.Env, "A=B") ||
		config.Labels["l"] != "m" || config.WorkingDir != "/w" || config.User != "u" {
		t.Errorf("config %+v", config)
	}
	for title, call := range map[string]func() error{
		"absent":    func() error { _, err := store.Import(ctx, "/nowhere.tar", ImportOptions{}); return err },
		"directory": func() error { _, err := store.Import(ctx, t.TempDir(), ImportOptions{}); return err },
		"bad change": func() error {
			_, err := store.ImportReader(ctx, bytes.NewReader(archiveOf(t, "a", "b")), ImportOptions{Changes: []string{"BOGUS x"}})
			return err
		},
	} {
		if err := call(); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", title, err)
		}
	}
}
