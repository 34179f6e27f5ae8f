package pasta

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFaster(t *testing.T) {
	const program = "\x7fELF"
	type file struct {
		name, content string
		mode          os.FileMode
	}
	plain := file{"pasta", program, 0o755}
	tests := []struct {
		name    string
		files   []file
		links   map[string]string
		without bool // the processor has no AVX2
		want    string
	}{
		{name: "neighbour", files: []file{plain, {"pasta.avx2", program, 0o755}}, want: "pasta.avx2"},
		{name: "no neighbour", files: []file{plain}, want: "pasta"},
		{name: "neighbour that is not executable", files: []file{plain, {"pasta.avx2", program, 0o644}}, want: "pasta"},
		{name: "processor without", files: []file{plain, {"pasta.avx2", program, 0o755}}, without: true, want: "pasta"},
		{
			name:  "links to passt",
			files: []file{{"passt", program, 0o755}, {"passt.avx2", program, 0o755}},
			links: map[string]string{"pasta": "passt", "pasta.avx2": "passt.avx2"}, want: "passt.avx2",
		},
		{
			name:  "link to another program",
			files: []file{{"other", program, 0o755}, {"pasta.avx2", program, 0o755}},
			links: map[string]string{"pasta": "other"}, want: "pasta",
		},
		{name: "script in its place", files: []file{{"pasta", "#!/bin/sh\n", 0o755}, {"pasta.avx2", program, 0o755}}, want: "pasta"},
		{name: "nothing", want: "pasta"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.content), f.mode); err != nil {
					t.Fatal(err)
				}
			}
			for name, to := range tt.links {
				if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			if got := faster(filepath.Join(dir, "pasta"), !tt.without); got != filepath.Join(dir, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
