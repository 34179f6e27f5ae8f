package quadlet_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rootless-pod/pod/pkg/quadlet"
	"github.com/rootless-pod/pod/pkg/unitfile"
)

// The set-ups in testdata/shapes are of the kinds that people publish: databases,
// proxies, media servers, pods with side-cars. Each is an archive: what it is, its
// files (lines "link NAME TARGET" are links), and for each service the lines that the
// reference facts ask for, without those that every service of its kind has
// (defaults, here); "# without KEY..." says which of these are missing. $DIR is the
// directory of the files.
//
// The services were compared with those that podman 5.4.2's generator makes of the
// same files. It differs where the reference, which is podman 6's, does:
//   - containers and pods are addressed by their names, not by --cidfile and
//     --pod-id-file; --pod takes the pod's name;
//   - names of Quadlet files in After=, Requires= and so on become those of services;
//   - keys that it does not know: BuildArg, IgnoreFile, Retry, RetryDelay (.build,
//     .image), ReloadCmd, ReloadSignal, HttpProxy, Memory, AppArmor (.container),
//     Policy (.image), NetworkDeleteOnStop, InterfaceName (.network), StopTimeout,
//     Label, HostName, ExitPolicy (.pod), UID, GID (.volume), and .artifact files;
//
// and in two that are its mistakes: it ends a command line at a word that is empty
// (redis: --save ""), and drops the space that systemd keeps where a line goes on
// within quotes (quoting).
func TestShapes(t *testing.T) {
	archives, err := filepath.Glob("testdata/shapes/*.txtar")
	if err != nil || len(archives) < 30 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			testShape(t, archive)
		})
	}
}

func testShape(t *testing.T, archive *txtar.Archive) {
	t.Helper()
	dir, expected := layShape(t, archive)
	env := map[string]string{"QUADLET_UNIT_DIRS": dir, "HOME": dir}
	set, problems := quadlet.Load(quadlet.Host{User: true, UID: 1000, Getenv: func(name string) string { return env[name] }, Program: "/usr/bin/pod"})
	for _, p := range problems {
		t.Error(p)
	}
	for _, r := range set.Convert() {
		for _, p := range r.Problems {
			t.Error(p)
		}
		if r.Service == nil {
			continue
		}
		want, ok := expected[r.Service.Name]
		if !ok {
			t.Errorf("unexpected %s:\n%s", r.Service.Name, r.Service.Text)
			continue
		}
		delete(expected, r.Service.Name)
		got := lines(t, r.Service.Name, r.Service.Text)
		compare(t, r.Service.Name, got, append(lines(t, r.Service.Name, strings.ReplaceAll(want, "$DIR", dir)), without(defaults(r.Unit.Ext()), got, want)...))
	}
	for name := range expected {
		t.Errorf("no %s was made", name)
	}
}

// TestShapesReference holds what is expected of the set-ups against the reference facts:
// each key of theirs brings the option, or the key of the unit, that the facts name.
func TestShapesReference(t *testing.T) {
	ref := readReference(t)
	archives, _ := filepath.Glob("testdata/shapes/*.txtar")
	used := map[string]bool{}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir, expected := layShape(t, archive)
		set, _ := quadlet.LoadDirs(quadlet.Host{User: true, Getenv: func(string) string { return "" }, Program: program}, []string{dir})
		for _, u := range set.Units {
			for _, v := range u.File.Assignments(u.Section()) {
				key, known := ref.Units[u.Ext()].Keys[v.Key]
				if !known {
					t.Errorf("%s: the reference has no %s", u.Name, v.Key)
				}
				if used[u.Ext()+" "+v.Key] = true; v.Text == "" || v.Text == "manual" {
					continue // RemapUsers=manual leaves all to maps
				}
				for _, want := range wanted(key) {
					if text := "\n" + expected[u.Service]; !strings.Contains(text, " "+want) && !strings.Contains(text, "\n"+want+"=") {
						t.Errorf("%s of %s: %s=%s brings no %s", u.Service, path, v.Key, v.Text, want)
					}
				}
			}
		}
	}
	if t.Logf("the set-ups use %d keys", len(used)); len(used) < 150 {
		t.Error("too few")
	}
}

// wanted are the options and unit keys that a key must bring whatever its value is.
func wanted(key referenceKey) []string {
	var all []string
	switch flag := key.Flag.(type) {
	case string:
		all = append(all, flag)
	case []any:
		for _, f := range flag {
			name, _ := f.(string)
			all = append(all, name)
		}
	}
	if slices.Contains(all, "*") {
		return nil // the value has the option itself
	}
	if slices.Contains(key.UnitKey, "ExecReload") || slices.Contains(key.UnitKey, "ExecStopPost") {
		all = append(all, key.UnitKey...)
	}
	return all
}

// layShape writes a shape's files, and returns what is expected of them by service.
func layShape(t *testing.T, archive *txtar.Archive) (dir string, expected map[string]string) {
	t.Helper()
	dir, expected = t.TempDir(), map[string]string{}
	for _, f := range archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "expected/"); ok {
			expected[name] = string(f.Data)
			continue
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(string(archive.Comment)) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "link" {
			if err := os.Symlink(words[2], filepath.Join(dir, words[1])); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, expected
}

// defaults are the lines that every service of a kind has, unless its file has others.
func defaults(ext string) []string {
	const network = "pod-user-wait-network-online.service"
	all := []string{"[Unit] Wants=" + network, "[Unit] After=" + network, "[Unit] RequiresMountsFor=%t/containers", "[Service] SyslogIdentifier=%N"}
	service := map[string][]string{
		".container": {
			"Environment=PODMAN_SYSTEMD_UNIT=%n", "KillMode=mixed", "Delegate=yes", "Type=notify", "NotifyAccess=all",
			"ExecStop=" + commandLine("pod rm -v -f -i systemd-%N"), "ExecStopPost=" + commandLine("-pod rm -v -f -i systemd-%N"),
		},
		".pod":   {"Environment=PODMAN_SYSTEMD_UNIT=%n", "Type=forking", "PIDFile=%t/%N.pid", "Restart=on-failure"},
		".build": {"Type=oneshot"},
	}[ext]
	if service == nil {
		service = []string{"Type=oneshot", "RemainAfterExit=yes"}
	}
	for _, line := range service {
		all = append(all, "[Service] "+line)
	}
	return all
}

// without drops the defaults that the shape says are not there, and those that it
// overrides: the service has the key, but not this line.
func without(defaults, got []string, want string) []string {
	var none []string
	if first, _, _ := strings.Cut(want, "\n"); strings.HasPrefix(first, "# without ") {
		none = strings.Fields(first)[2:]
	}
	return slices.DeleteFunc(defaults, func(line string) bool {
		_, key, _ := strings.Cut(line, " ")
		key, _, _ = strings.Cut(key, "=")
		if slices.Contains(none, key) {
			return true
		}
		overridden := strings.Contains("\n"+want, "\n"+key+"=") && !slices.Contains(got, line)
		return overridden && slices.Contains([]string{"KillMode", "SyslogIdentifier", "Type", "ExecStop", "ExecStopPost", "Restart", "RemainAfterExit"}, key)
	})
}

// lines are the assignments of a service, comparable: without the peer's or our own
// section, command lines with their options in order.
func lines(t *testing.T, name, text string) []string {
	t.Helper()
	f, err := unitfile.Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, section := range []string{"Unit", "Service", "Install"} {
		for _, v := range f.Assignments(section) {
			switch {
			case v.Key == "SourcePath":
				continue
			case strings.HasPrefix(v.Key, "Exec"):
				all = append(all, "["+section+"] "+v.Key+"="+commandLine(v.Text))
			default:
				all = append(all, "["+section+"] "+v.Key+"="+v.Text)
			}
		}
	}
	return all
}

// commandLine is a command line whose options are sorted, since their order means nothing:
// between other words, and up to the image of run, behind which all is the container's.
func commandLine(text string) string {
	words, _ := unitfile.Words(text, unitfile.Unescape)
	program, isPod := strings.CutSuffix(words[0], "/usr/bin/pod")
	if isPod {
		words[0] = program + "pod"
	}
	var out, options []string
	flush := func() {
		slices.Sort(options)
		out, options = append(out, options...), nil
	}
	run := false
	for i := 0; i < len(words); i++ {
		w := words[i]
		if !strings.HasPrefix(w, "-") || i == 0 {
			flush()
			if run && !slices.Contains(words[:i], "--rootfs") {
				out = append(out, words[i:]...)
				break
			}
			run = run || w == "run"
			out = append(out, w)
			continue
		}
		if i+1 < len(words) && !strings.Contains(w, "=") && !isSwitch(w) && !strings.HasPrefix(words[i+1], "-") {
			i++
			w += "=" + words[i]
		}
		options = append(options, w)
	}
	flush()
	quoted := make([]string, len(out))
	for i, w := range out {
		quoted[i] = unitfile.Quote(w)
	}
	return strings.Join(quoted, " ")
}

// isSwitch says whether an option has no value of its own.
func isSwitch(option string) bool {
	return slices.Contains([]string{
		"-d", "-f", "-i", "-v", "--all-tags", "--env-host", "--force", "--force-rm", "--ignore", "--init", "--interactive", "--internal",
		"--ipv6", "--plain", "--quiet", "--read-only", "--replace", "--rm", "--tls-verify", "--tty",
	}, option)
}

// compare tells which lines are missing and which are too many.
func compare(t *testing.T, name string, got, want []string) {
	t.Helper()
	count := map[string]int{}
	for _, line := range got {
		count[line]++
	}
	for _, line := range want {
		count[line]--
	}
	for _, line := range slices.Sorted(maps.Keys(count)) {
		switch n := count[line]; {
		case n < 0:
			t.Errorf("%s lacks\n%s", name, line)
		case n > 0:
			t.Errorf("%s has beyond what is expected\n%s", name, line)
		}
	}
}
