package netavark

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/common/libnetwork/types"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"netavark 1.4.0\n": {1, 4}, "netavark 1.14.0": {1, 14}, "netavark 2.0.0-rc1": {2, 0}, "netavark 2.1-dev": {2, 1},
	} {
		if got, err := parseVersion(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "netavark", "netavark x.y"} {
		if got, err := parseVersion(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	if (Version{1, 4}).TakesNone() || !(Version{1, 14}).TakesNone() || !(Version{2, 0}).TakesNone() {
		t.Error("who takes the firewall none?")
	}
}

// tool is a program that does what the script says.
func tool(t *testing.T, version, script string) Tool {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "netavark")
	text := "#!/bin/sh\nif [ \"$1\" = --version ]; then echo x >>" + dir + "/asked; echo netavark " + version + "; exit; fi\n" + script
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	v, err := Ask(t.Context(), path, dir)
	if err != nil {
		t.Fatal(err)
	}
	return Tool{Path: path, Version: v, Dir: dir, Rootless: true, Firewall: None, DNSPort: 1053}
}

func request() Request {
	return Request{
		ID: "c1", Name: "n1", Networks: []types.Network{{Name: "b", Driver: "bridge"}, {Name: "a", Driver: "bridge"}},
		Options: []types.PerNetworkOptions{{InterfaceName: "eth0", StaticIPs: []net.IP{net.ParseIP("10.0.0.2")}}, {InterfaceName: "eth1"}},
	}
}

func TestSetup(t *testing.T) {
	for version, list := range map[string]bool{"1.14.0": false, "2.0.0": true} {
		nv := tool(t, version, `cat >"${0%/*}/stdin"; echo "$@" >"${0%/*}/args"; env >"${0%/*}/env"
			echo '{"a":{"dns_server_ips":["10.0.0.1"]},"b":{}}'`)
		status, err := nv.Setup(t.Context(), "/n/s", request())
		if err != nil || len(status) != 2 || status["a"].DNSServerIPs[0].String() != "10.0.0.1" {
			t.Errorf("%v, %v", status, err)
		}
		read := func(name string) string {
			data, err := os.ReadFile(filepath.Join(nv.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		if got := read("args"); !strings.HasSuffix(got, " --rootless true setup /n/s\n") || strings.Contains(got, "aardvark") {
			t.Errorf("arguments %q", got)
		}
		if got := read("env"); !strings.Contains(got, "NETAVARK_FW=none\n") || !strings.Contains(got, "NETAVARK_DNS_PORT=1053\n") ||
			!strings.Contains(got, ":/usr/sbin:/sbin\n") {
			t.Errorf("environment %q", got)
		}
		var sent struct {
			Networks json.RawMessage            `json:"networks"`
			Info     map[string]json.RawMessage `json:"network_info"`
		}
		if err := json.Unmarshal([]byte(read("stdin")), &sent); err != nil || len(sent.Info) != 2 {
			t.Fatalf("%v: %s", err, read("stdin"))
		}
		if isList := sent.Networks[0] == '['; isList != list {
			t.Errorf("version %s was sent %s", version, sent.Networks)
		}
		if list && !strings.HasPrefix(string(sent.Networks), `[{"name":"b",`) {
			t.Errorf("the order is lost: %s", sent.Networks)
		}
		if _, err := Ask(t.Context(), nv.Path, nv.Dir); err != nil || read("asked") != "x\n" {
			t.Errorf("asked for its version %q, %v", read("asked"), err)
		}
	}
}

func TestFaults(t *testing.T) {
	for script, want := range map[string]string{
		`echo '{"error":"no such thing"}'; exit 1`:  "netavark: no such thing",
		`echo two lines >&2; echo >&2 here; exit 2`: "netavark: two lines; here",
		`kill -9 $$`:    "netavark was killed",
		`exit 3`:        "netavark: exit status 3",
		`echo nonsense`: "read its answer",
		`echo '{"error":"Must provide a valid firewall backend, got none"}'; exit 1`: "does not know this firewall",
	} {
		_, err := tool(t, "1.14.0", script).Setup(t.Context(), "/n", request())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
		if strings.Contains(script, "backend") && !errors.Is(err, ErrNoFirewall) {
			t.Errorf("%v is not ErrNoFirewall", err)
		}
	}
	if err := (Tool{}).Teardown(t.Context(), "/n", request()); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("without a program: %v", err)
	}
}
