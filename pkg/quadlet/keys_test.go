package quadlet_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/quadlet"
	"github.com/rootless-pod/pod/pkg/unitfile"
)

// reference is what testdata/keys.json has: facts of podman's generator.
type reference struct {
	Units map[string]struct {
		Section  string
		Service  string
		Defaults map[string]map[string]string
		Keys     map[string]referenceKey
	}
}

type referenceKey struct {
	Flag       any
	Prefix     string `json:"value_prefix"`
	Effect     string
	Type       string
	Repeatable int
	UnitKey    []string `json:"unit_key"`
}

func readReference(t *testing.T) reference {
	t.Helper()
	data, err := os.ReadFile("testdata/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// program is what services call in the tests.
const program = "/usr/bin/pod"

// set writes files into a directory and loads them.
func set(t *testing.T, files map[string]string) (*quadlet.Set, []quadlet.Problem) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{quadlet.UnitDirsVariable: dir}
	host := quadlet.Host{User: true, UID: 1000, Program: program, Getenv: func(name string) string { return env[name] }}
	return quadlet.Load(host)
}

// converted is the service of one of the files, and all problems but warnings.
func converted(t *testing.T, files map[string]string, name string) (*unitfile.File, []string) {
	t.Helper()
	s, problems := set(t, files)
	var service *unitfile.File
	for _, r := range s.Convert() {
		problems = append(problems, r.Problems...)
		if r.Unit.Name == name && r.Service != nil {
			var err error
			if service, err = unitfile.Parse(r.Service.Name, []byte(r.Service.Text)); err != nil {
				t.Fatalf("%s is no unit file: %v\n%s", r.Service.Name, err, r.Service.Text)
			}
		}
	}
	var wrong []string
	for _, p := range problems {
		if !p.Warning {
			wrong = append(wrong, filepath.Base(p.Pos.File)+strings.TrimPrefix(p.String(), p.Pos.File))
		}
	}
	return service, wrong
}

// command is a command of a service, as words.
func command(t *testing.T, service *unitfile.File, key string) []string {
	t.Helper()
	v, ok := service.Get("Service", key)
	if !ok {
		t.Fatalf("there is no %s in\n%s", key, service)
	}
	words, balanced := unitfile.Words(v.Text, unitfile.Unescape)
	if !balanced {
		t.Fatalf("%s=%s", key, v.Text)
	}
	return words
}

// minimal is the shortest file of each kind.
func minimal(ext string) string {
	return map[string]string{
		".container": "[Container]\nImage=localhost/i\n", ".volume": "[Volume]\n", ".network": "[Network]\n", ".pod": "[Pod]\n",
		".image": "[Image]\nImage=localhost/i\n", ".artifact": "[Artifact]\nArtifact=localhost/a\n",
		".build": "[Build]\nImageTag=localhost/b\nFile=/f/Containerfile\n", ".kube": "[Kube]\nYaml=/y\n",
	}[ext]
}

// sample is a value for a key, and what else the file then needs.
func sample(ext, key string, k referenceKey) (value, more string) {
	type keyOf struct{ ext, key string }
	with := map[keyOf][2]string{
		{"", "PidsLimit"}: {"5"}, {"", "StopTimeout"}: {"5"}, {"", "Retry"}: {"5"}, {"", "RetryDelay"}: {"5s"},
		{"", "HealthOnFailure"}: {"kill"}, {"", "HealthMaxLogCount"}: {"5"}, {"", "HealthMaxLogSize"}: {"5"}, {"", "HealthRetries"}: {"5"},
		{"", "HealthStartupRetries"}: {"5"}, {"", "HealthStartupSuccess"}: {"5"}, {"", "Notify"}: {"healthy"},
		{"", "HealthInterval"}: {"5s"}, {"", "HealthStartPeriod"}: {"5s"}, {"", "HealthTimeout"}: {"5s"}, {"", "HealthStartupInterval"}: {"5s"},
		{"", "HealthStartupTimeout"}: {"5s"}, {"", "ExposeHostPort"}: {"80"}, {".container", "Group"}: {"5", "User=6\n"},
		{"", "Pod"}: {"p.pod"}, {".build", "File"}: {"/value"}, {"", "RemapUsers"}: {"auto"}, {"", "RemapUid"}: {"0:1:5", "RemapUsers=manual\n"},
		{"", "RemapGid"}: {"0:1:5", "RemapUsers=manual\n"}, {"", "RemapUidSize"}: {"5", "RemapUsers=auto\n"},
		{"", "Environment"}: {"A=b"}, {"", "Label"}: {"A=b"}, {"", "Annotation"}: {"A=b"}, {"", "BuildArg"}: {"A=b"}, {".network", "Options"}: {"A=b"},
		{"", "ExitPolicy"}: {"continue"}, {".volume", "Options"}: {"ro", "Device=/dev\n"}, {".volume", "Type"}: {"bind", "Device=/dev\n"},
		{".volume", "Device"}: {"/dev"}, {".volume", "User"}: {"5"}, {".volume", "Group"}: {"5"}, {"", "UID"}: {"5"}, {"", "GID"}: {"5"},
		{".volume", "Image"}: {"localhost/i", "Driver=image\n"}, {"", "Gateway"}: {"10.0.0.1", "Subnet=10.0.0.0/24\n"},
		{"", "IPRange"}: {"10.0.0.0/25", "Subnet=10.0.0.0/24\n"}, {"", "Subnet"}: {"10.0.0.0/24"}, {"", "SetWorkingDirectory"}: {"/elsewhere"},
		{"", "Volume"}: {"/from:/to"}, {"", "Mount"}: {"type=bind,source=/from,destination=/to"}, {"", "SecurityLabelType"}: {"value"},
		{"", "AddCapability"}: {"net_raw"}, {"", "DropCapability"}: {"net_raw"}, {"", "EnvironmentFile"}: {"/value"}, {"", "StartWithPod"}: {"false", "Pod=p.pod\n"},
	}
	for _, of := range []keyOf{{ext, key}, {"", key}} {
		if v, ok := with[of]; ok {
			return v[0], v[1]
		}
	}
	if k.Type == "bool" {
		return "true", ""
	}
	return "value", ""
}

// TestKeys goes through every key that podman's generator knows.
func TestKeys(t *testing.T) {
	t.Parallel()
	keys := map[string][]string{}
	for _, r := range quadlet.References() {
		for _, k := range r.Keys {
			keys[r.Ext] = append(keys[r.Ext], k.Name)
		}
	}
	total := 0
	for ext, unit := range readReference(t).Units {
		if len(keys[ext]) != len(unit.Keys) {
			t.Errorf("%s has %d keys, podman %d", ext, len(keys[ext]), len(unit.Keys))
		}
		for name, k := range unit.Keys {
			total++
			t.Run(ext+"/"+name, func(t *testing.T) {
				t.Parallel()
				if !slices.Contains(keys[ext], name) {
					t.Fatal("the key is missing")
				}
				checkKey(t, ext, name, k)
			})
		}
	}
	if total != 235 {
		t.Errorf("%d keys, want 235", total)
	}
}

func checkKey(t *testing.T, ext, name string, k referenceKey) {
	t.Helper()
	value, more := sample(ext, name, k)
	files := map[string]string{"x" + ext: minimal(ext), "p.pod": minimal(".pod")}
	before, wrong := converted(t, files, "x"+ext)
	files["x"+ext] = minimal(ext) + more + name + "=" + value + "\n"
	if ext == ".container" && name == "Rootfs" {
		files["x"+ext] = "[Container]\nRootfs=value\n"
	}
	after, wrongAfter := converted(t, files, "x"+ext)
	if ext == ".kube" {
		if before != nil || len(wrongAfter) != 1 || !strings.Contains(wrongAfter[0], "not supported yet") {
			t.Errorf("%q", wrongAfter)
		}
		return
	}
	if len(wrong)+len(wrongAfter) > 0 {
		t.Fatalf("%q, %q", wrong, wrongAfter)
	}
	if name == "ServiceName" {
		return // TestNames
	}
	key := "ExecStart"
	switch {
	case ext == ".pod" && name == "StopTimeout":
		key = "ExecStop"
	case ext == ".pod":
		key = "ExecStartPre"
	case slices.Contains(k.UnitKey, "ExecReload") || slices.Contains(k.UnitKey, "ExecStopPost"):
		key = k.UnitKey[0]
	case name == "StartWithPod" || name == "ImageTag" && ext == ".image":
		return // TestPod, TestReferences
	}
	checkCommand(t, command(t, after, key), name, value, k)
	if v, ok := before.Get("Service", key); ok {
		if now, _ := after.Get("Service", key); now.Text == v.Text && name != "Artifact" {
			t.Errorf("%s=%s changes nothing: %s", name, value, v.Text)
		}
	}
}

// checkCommand looks for the key's option and value.
func checkCommand(t *testing.T, words []string, name, value string, k referenceKey) {
	t.Helper()
	flags, _ := k.Flag.([]any)
	if flag, ok := k.Flag.(string); ok {
		flags = append(flags, flag)
	}
	line := " " + strings.Join(words, " ") + " "
	for _, f := range flags {
		flag, _ := f.(string)
		if flag == "*" {
			flag = value
		}
		if !strings.Contains(line, " "+flag+" ") && !strings.Contains(line, " "+flag+"=") {
			t.Errorf("%s=%s: no %s in%s", name, value, flag, line)
		}
	}
	if !strings.Contains(line, k.Prefix) {
		t.Errorf("%s=%s: no %s in%s", name, value, k.Prefix, line)
	}
	if k.Type != "bool" && name != "NetworkDeleteOnStop" && !strings.Contains(line, value) && name != "Pod" {
		t.Errorf("%s=%s: the value is not in%s", name, value, line)
	}
}

// TestDefaults: what the shortest files become, which is what podman's become.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for ext, unit := range readReference(t).Units {
		if ext == ".kube" {
			continue
		}
		t.Run(ext, func(t *testing.T) {
			t.Parallel()
			text := minimal(ext)
			if ext == ".build" {
				text = "[Build]\nImageTag=IMAGETAG\nSetWorkingDirectory=unit\n"
			}
			for name, placeholder := range map[string]string{"localhost/i": "IMAGE", "localhost/a": "ARTIFACT"} {
				text = strings.ReplaceAll(text, name, placeholder)
			}
			service, wrong := converted(t, map[string]string{"NAME" + ext: text}, "NAME"+ext)
			if len(wrong) > 0 {
				t.Fatal(wrong)
			}
			if want := strings.ReplaceAll(unit.Service, "NAME", "NAME"); service.Name() != want {
				t.Errorf("the service is %s, want %s", service.Name(), want)
			}
			source, _ := service.Get("Unit", "SourcePath")
			for section, keys := range unit.Defaults {
				for key, want := range keys {
					got, ok := service.Get(strings.Trim(section, "[]"), key)
					want = strings.NewReplacer("-podman ", "-"+program+" ", "podman-user", "pod-user", "%DIR%", filepath.Dir(source.Text)).Replace(want)
					if rest, isCommand := strings.CutPrefix(want, "podman "); isCommand {
						want = program + " " + rest
					}
					if !ok || got.Text != want {
						t.Errorf("%s=%s\nwant %s", key, got.Text, want)
					}
				}
			}
		})
	}
}
