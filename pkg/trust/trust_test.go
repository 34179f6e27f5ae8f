package trust

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"go.podman.io/image/v5/transports/alltransports"
)

// home gives the test a home without configuration, or with a policy.
func home(t *testing.T, policy string) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("CONTAINERS_POLICY_JSON", "")
	path := filepath.Join(dir, "containers", "policy.json")
	if policy != "" {
		write(t, path, policy)
	}
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// key writes a public GPG key of an owner.
func key(t *testing.T, email string) string {
	t.Helper()
	entity, err := openpgp.NewEntity("Someone", "", email, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.gpg")
	f, err := os.Create(path) //nolint:forbidigo // a test's own file
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := entity.Serialize(f); err != nil {
		t.Fatal(err)
	}
	return path
}

const some = `{
  "default": [{"type": "reject"}],
  "transports": {
    "docker": {
      "quay.io/team": [{"type": "sigstoreSigned", "keyPath": "/k.pub", "signedIdentity": {"type": "matchRepository"}}],
      "*.example.com": [{"type": "insecureAcceptAnything"}]
    },
    "docker-archive": {"": [{"type": "insecureAcceptAnything"}]}
  }
}`

func TestSet(t *testing.T) {
	gpg := key(t, "a@example.com")
	for _, c := range []struct {
		name, policy, wantErr string
		change                Change
		want                  map[string]string // scope: type
	}{
		{name: "default of a new file", change: Change{Scope: "default", Type: Reject}, want: map[string]string{"default": "reject"}},
		{name: "scope before default", policy: "-", change: Change{Scope: "quay.io", Type: Accept}, wantErr: "default trust policy must be set"},
		{
			name: "another scope", policy: some, change: Change{Scope: "quay.io", Type: SignedBy, Keys: []string{gpg}},
			want: map[string]string{"quay.io": "signedBy", "quay.io/team": "sigstoreSigned", "default": "reject"},
		},
		{
			name: "the same scope", policy: some, change: Change{Scope: "quay.io/team", Type: Accept},
			want: map[string]string{"quay.io/team": "insecureAcceptAnything", "*.example.com": "insecureAcceptAnything"},
		},
		{name: "no key", policy: some, change: Change{Scope: "quay.io", Type: SignedBy}, wantErr: "at least one public key"},
		{name: "key not there", policy: some, change: Change{Scope: "quay.io", Type: SignedBy, Keys: []string{"/none"}}, wantErr: "no such file"},
		{name: "needless key", policy: some, change: Change{Scope: "quay.io", Type: Reject, Keys: []string{gpg}}, wantErr: "unexpectedly provided"},
		{name: "type", policy: some, change: Change{Scope: "quay.io", Type: "maybe"}, wantErr: "invalid choice: maybe"},
		{name: "scope", policy: some, change: Change{Scope: "a b", Type: Accept}, wantErr: "invalid image uri"},
		{name: "broken file", policy: `{"default":[{"type":"reject"}],"more":1}`, change: Change{Scope: "default", Type: Accept}, wantErr: "not a valid policy"},
		{name: "twice a key", policy: `{"default":[{"type":"reject"}],"default":[]}`, change: Change{Scope: "default", Type: Accept}, wantErr: "not a valid policy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := home(t, strings.TrimPrefix(c.policy, "-"))
			if c.policy == "-" || c.policy == "" {
				c.change.Path = path // the machine may have a policy
			}
			before, _ := os.ReadFile(path)
			got, err := Set(c.change)
			if c.wantErr != "" {
				after, _ := os.ReadFile(path)
				if err == nil || !strings.Contains(err.Error(), c.wantErr) || string(before) != string(after) {
					t.Fatalf("error %v, file %q, want %q and the file as it was", err, after, c.wantErr)
				}
				return
			}
			if err != nil || got != path {
				t.Fatalf("wrote %s: %v", got, err)
			}
			for scope, kind := range c.want {
				if have := typeOf(t, path, scope); have != kind {
					t.Errorf("%s: %s, want %s", scope, have, kind)
				}
			}
		})
	}
}

func typeOf(t *testing.T, path, scope string) string {
	t.Helper()
	policy, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	raw := policy.doc.Transports["docker"][scope]
	if scope == "default" {
		raw = policy.doc.Default
	}
	reqs, err := requirements(raw)
	if err != nil || len(reqs) != 1 {
		t.Fatalf("%s: %v, %v", scope, reqs, err)
	}
	return reqs[0].Type
}

func TestSetKeepsTheRest(t *testing.T) {
	path := home(t, some)
	if _, err := Set(Change{Scope: "docker.io", Type: Accept}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var was, is map[string]any
	if err := json.Unmarshal([]byte(some), &was); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &is); err != nil {
		t.Fatal(err)
	}
	docker, _ := is["transports"].(map[string]any)["docker"].(map[string]any)
	delete(docker, "docker.io")
	if !reflect.DeepEqual(was, is) {
		t.Errorf("was %v, is %v", was, is)
	}
}

func TestEntries(t *testing.T) {
	gpg := key(t, "a@example.com")
	home(t, some)
	if _, err := Set(Change{Scope: "quay.io/team/app", Type: SignedBy, Keys: []string{gpg}}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), "default-docker:\n  sigstore: file:///all\ndocker:\n  quay.io:\n    lookaside: https://sigs.example\n")
	policy, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		only string
		want []string
	}{
		{"", []string{
			"all default reject  file:///all", "repository *.example.com accept  file:///all",
			"repository quay.io/team sigstoreSigned N/A https://sigs.example",
			"repository quay.io/team/app signed a@example.com https://sigs.example", "docker-archive  accept  file:///all",
		}},
		{"docker.io", []string{"all default reject  file:///all"}},
		{"a.example.com/x", []string{"repository *.example.com accept  file:///all"}},
		{"quay.io/team/other", []string{"repository quay.io/team sigstoreSigned N/A https://sigs.example"}},
		{"quay.io", []string{
			"all default reject  file:///all", "repository quay.io/team sigstoreSigned N/A https://sigs.example",
			"repository quay.io/team/app signed a@example.com https://sigs.example",
		}},
	} {
		entries, err := policy.Entries(c.only, dir)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, e := range entries {
			got[strings.Join([]string{e.Transport, e.RepoName, e.Type, e.GPGId, e.SignatureStore}, " ")] = true
		}
		if len(got) != len(c.want) {
			t.Errorf("%q: got %v", c.only, got)
		}
		for _, line := range c.want {
			if !got[line] {
				t.Errorf("%q: %q is missing in %v", c.only, line, got)
			}
		}
	}
}

func TestScope(t *testing.T) {
	home(t, some)
	policy, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"docker://quay.io/team/app:1":  `scope "quay.io/team" of transport docker (sigstoreSigned)`,
		"docker://quay.io/other":       "the default (reject)",
		"docker://a.b.example.com/app": `scope "*.example.com" of transport docker (insecureAcceptAnything)`,
		"docker-archive:/x.tar":        "the default of transport docker-archive (insecureAcceptAnything)",
		"oci:/x":                       "the default (reject)",
	} {
		ref, err := alltransports.ParseImageName(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := policy.Scope(ref); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	path := home(t, some)
	if got, err := Path(); err != nil || got != path {
		t.Errorf("%s, %v, want the user's own", got, err)
	}
	t.Setenv("CONTAINERS_POLICY_JSON", "/none/policy.json")
	if got, err := Path(); err != nil || got != "/none/policy.json" {
		t.Errorf("%s, %v, want that of the variable", got, err)
	}
	if _, err := Open(""); err == nil {
		t.Error("a policy that is not there was opened")
	}
}
