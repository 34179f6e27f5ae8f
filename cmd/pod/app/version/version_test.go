package version

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	a := &cli.App{Out: &out}
	if err := runVersion(a, ""); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "Client:") || !strings.Contains(out.String(), "\nOS/Arch:") {
		t.Fatalf("got %s", out.String())
	}
	out.Reset()
	if err := runVersion(a, "json"); err != nil {
		t.Fatal(err)
	}
	var v map[string]map[string]any
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	keys := slices.Sorted(maps.Keys(v["Client"]))
	want := []string{"APIVersion", "Built", "BuiltTime", "GitCommit", "GoVersion", "Os", "OsArch", "Version"}
	if !slices.Equal(keys, want) {
		t.Fatalf("keys %v, want %v", keys, want)
	}
}
