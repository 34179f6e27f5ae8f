package tune

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSender(t *testing.T) {
	tests := []struct {
		name, wmem, rto         string
		wantWmem, wantRTO       string
		withoutRTO, withoutWmem bool
	}{
		{name: "usual", wmem: "4096\t16384\t4194304\n", rto: "200000\n", wantWmem: "4096 16384 786432", wantRTO: "20000"},
		{name: "smaller stays", wmem: "4096\t16384\t262144\n", rto: "5000\n", wantWmem: "4096\t16384\t262144\n", wantRTO: "5000\n"},
		{name: "large default", wmem: "4096 1048576 4194304", rto: "200000", wantWmem: "4096 786432 786432", wantRTO: "20000"},
		{name: "old kernel", wmem: "4096 16384 4194304", wantWmem: "4096 16384 786432", withoutRTO: true},
		{name: "neither", withoutRTO: true, withoutWmem: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir() + "/"
			if !tt.withoutRTO {
				put(t, filepath.Join(dir, "tcp_rto_min_us"), tt.rto)
			}
			if !tt.withoutWmem {
				put(t, filepath.Join(dir, "tcp_wmem"), tt.wmem)
			}
			if err := sender(dir); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"tcp_rto_min_us": tt.wantRTO, "tcp_wmem": tt.wantWmem} {
				got, err := os.ReadFile(filepath.Join(dir, name))
				if want != "" && (err != nil || string(got) != want) {
					t.Errorf("%s: %q, %v, want %q", name, got, err, want)
				}
			}
		})
	}
}

func TestSenderStrange(t *testing.T) {
	dir := t.TempDir() + "/"
	put(t, dir+"tcp_wmem", "many\n")
	if err := sender(dir); err == nil {
		t.Error("words were taken for numbers")
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
