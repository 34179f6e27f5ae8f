package e2e

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	userKind = flag.String("user-kind", "", "who runs the scripts: subid (a user with sub-ids), nosubid, root or vm (with sub-ids, where limits work)")
	pattern  = flag.String("run-scripts", "", "run only the scripts whose noun/name matches this `regexp`")
	chatty   = flag.Bool("chatty", false, "log every command of every script")
	timeout  = flag.Duration("script-timeout", 10*time.Minute, "how long one script may take")
)

func TestScripts(t *testing.T) {
	if *userKind == "" {
		t.Skip("skip: needs a host with pod installed; run make e2e")
	}
	if _, err := exec.LookPath("pod"); err != nil {
		t.Fatal("pod is not installed: ", err)
	}
	match, err := regexp.Compile(*pattern)
	if err != nil {
		t.Fatal(err)
	}
	// Work directories must be on a real disk: /tmp may be an overlay or small.
	t.Setenv("GOTMPDIR", "/var/tmp")
	t.Run("all", func(t *testing.T) {
		for _, file := range scripts(t) {
			name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".txtar")
			if !match.MatchString(name) {
				continue
			}
			if runtimes := marked(t, file, "runtimes"); len(runtimes) > 0 {
				for _, runtime := range runtimes {
					t.Run(name+"@"+runtime, func(t *testing.T) {
						t.Parallel()
						runScript(t, file, map[string]string{"RUNTIME": runtime})
					})
				}
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				runScript(t, file, nil)
			})
			if bothTimers(t, file) {
				t.Run(name+"@watcher", func(t *testing.T) {
					t.Parallel()
					runScript(t, file, map[string]string{"POD_TIMERS": "watcher"})
				})
			}
		}
		if *userKind != "subid" {
			return
		}
		runGuides(t, func(name, file string) {
			if match.MatchString(name) {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					runScript(t, file, nil)
				})
			}
		})
	})
}

// scripts lists the scripts for this kind of user: testdata/nosubid and
// testdata/root are for theirs, testdata/limits for the virtual machine, all
// other folders for a user with sub-ids.
func scripts(t *testing.T) []string {
	t.Helper()
	kinds := map[string]string{"nosubid": "nosubid", "root": "root", "limits": "vm"}
	all, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(all) == 0 {
		t.Fatalf("no scripts in testdata (%v); start in test/e2e", err)
	}
	var files []string
	for _, file := range all {
		kind := kinds[filepath.Base(filepath.Dir(file))]
		if kind == "" {
			kind = "subid"
		}
		if kind == *userKind {
			files = append(files, file)
		}
	}
	return files
}

// bothTimers says whether a script is to be run a second time without systemd's
// timers: it has the comment "# timers: both".
func bothTimers(t *testing.T, file string) bool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(data), "\n# timers: both\n")
}

// marked returns the words of a script's comment "# MARK: WORD...".
func marked(t *testing.T, file, mark string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if words, ok := strings.CutPrefix(line, "# "+mark+":"); ok {
			return strings.Fields(words)
		}
	}
	return nil
}

func runScript(t *testing.T, file string, with map[string]string) {
	t.Helper()
	testscript.RunT(&scriptT{t}, testscript.Params{
		Files: []string{file},
		Setup: func(env *testscript.Env) error {
			env.Setenv("POD_TIMERS", "")
			for name, value := range with {
				env.Setenv(name, value)
			}
			return setup(t, env)
		},
		Cmds:               commands(),
		Condition:          condition,
		RequireUniqueNames: true,
		Deadline:           time.Now().Add(*timeout),
	})
}

// scriptT runs one script in the test it belongs to, with its own deadline:
// testscript itself would give the same one to all scripts of a call.
type scriptT struct{ *testing.T }

func (t *scriptT) Run(_ string, f func(testscript.T)) { f(t) }
func (t *scriptT) Parallel()                          {}
func (t *scriptT) Verbose() bool                      { return *chatty }

// Skip marks the reason for test/summary to find.
func (t *scriptT) Skip(reason ...any) { t.T.Skip(append([]any{"skip:"}, reason...)...) }

func TestMain(m *testing.M) {
	runProbe()
	flag.Parse()
	// What a container inherits as umask shows in its files.
	setUmask()
	os.Exit(m.Run())
}
