package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// guide is what of a page of docs/guides is run: the ```sh blocks that have the
// line <!-- e2e --> before them, all in one shell. Conditions may follow the
// word e2e. A command (that may go on behind a backslash at the end of a line)
// must succeed; with "# prints TEXT" behind it its output must have TEXT in it.
type guide struct {
	needs  []string
	script strings.Builder
}

const (
	guideMark = "<!-- e2e"
	// A line with this, and --> behind it, is a command that the page does not show.
	guideHidden = "<!-- run "
)

func parseGuide(page string) (*guide, error) {
	g := &guide{}
	marked, inside := false, false
	var command strings.Builder
	for number, line := range strings.Split(page, "\n") {
		switch {
		case inside && line == "```":
			if command.Len() > 0 {
				return nil, fmt.Errorf("line %d: a command does not end", number+1)
			}
			inside = false
		case inside:
			command.WriteString(line)
			if strings.HasSuffix(line, `\`) {
				command.WriteByte('\n')
				continue
			}
			g.add(command.String())
			command.Reset()
		case strings.HasPrefix(line, guideHidden):
			hidden, whole := strings.CutSuffix(strings.TrimPrefix(line, guideHidden), " -->")
			if !whole {
				return nil, fmt.Errorf("line %d: no --> at the end", number+1)
			}
			g.add(hidden)
		case strings.HasPrefix(line, guideMark):
			words, whole := strings.CutSuffix(strings.TrimPrefix(line, guideMark), "-->")
			if !whole {
				return nil, fmt.Errorf("line %d: no --> at the end", number+1)
			}
			g.needs = append(g.needs, strings.Fields(words)...)
			marked = true
		case marked:
			if line != "```sh" {
				return nil, fmt.Errorf("line %d: no ```sh block after %s", number+1, guideMark)
			}
			marked, inside = false, true
		}
	}
	if inside || marked {
		return nil, fmt.Errorf("the last block does not end")
	}
	return g, nil
}

// add appends a command with its check.
func (g *guide) add(command string) {
	command, text, checked := strings.Cut(command, "# prints ")
	if !checked {
		fmt.Fprintln(&g.script, command)
		return
	}
	text = strings.ReplaceAll(strings.TrimSpace(text), "'", `'\''`)
	fmt.Fprintf(&g.script, "{ %s; } >\"$BASE/printed\"; cat \"$BASE/printed\"\n", strings.TrimSpace(command))
	fmt.Fprintf(&g.script, "grep -qF -e '%s' \"$BASE/printed\" || { echo 'that lacks: %[1]s' >&2; exit 1; }\n", text)
}

// txtar is the guide as a script: with busybox to run, a registry where
// it is named, and pod as docker and as podman where a guide has those names.
func (g *guide) txtar() string {
	var b strings.Builder
	if len(g.needs) > 0 {
		fmt.Fprintln(&b, "require", strings.Join(g.needs, " "))
	}
	fmt.Fprintln(&b, "image busybox")
	switch script := g.script.String(); {
	case strings.Contains(script, "$WORK/certs"):
		fmt.Fprintln(&b, "registry -tls -auth ci:secret")
	case strings.Contains(script, "$REGISTRY"):
		fmt.Fprintln(&b, "registry")
	}
	fmt.Fprintln(&b, "exec sh -ex guide.sh")
	fmt.Fprintf(&b, "-- guide.sh --\n%s", &g.script)
	return b.String()
}

// runGuides runs the pages of docs/guides as scripts called guide/PAGE.
func runGuides(t *testing.T, run func(name, file string)) {
	t.Helper()
	pages, err := filepath.Glob("../../docs/guides/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no guides (%v)", err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		g, err := parseGuide(string(text))
		if err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		if g.script.Len() == 0 {
			t.Errorf("%s: nothing in it is run: mark its blocks with %s -->", page, guideMark)
			continue
		}
		file := filepath.Join(t.TempDir(), name+".txtar")
		if err := os.WriteFile(file, []byte(g.txtar()), 0o600); err != nil {
			t.Fatal(err)
		}
		run("guide/"+name, file)
	}
}

func TestParseGuide(t *testing.T) {
	const page = "words\n<!-- run hidden -->\n```sh\nnot run\n```\n<!-- e2e systemd -->\n```sh\na \\\n  b\nc | d  # prints it's\n```\nmore\n<!-- e2e fuse -->\n```sh\ne\n```\n"
	g, err := parseGuide(page)
	if err != nil {
		t.Fatal(err)
	}
	want := "hidden\na \\\n  b\n{ c | d; } >\"$BASE/printed\"; cat \"$BASE/printed\"\n" +
		"grep -qF -e 'it'\\''s' \"$BASE/printed\" || { echo 'that lacks: it'\\''s' >&2; exit 1; }\ne\n"
	if got := g.script.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := strings.Join(g.needs, " "); got != "systemd fuse" {
		t.Errorf("needs %q", got)
	}
	for name, bad := range map[string]string{
		"no block":                 "<!-- e2e -->\nwords\n",
		"another language":         "<!-- e2e -->\n```\nx\n```\n",
		"no end":                   "<!-- e2e -->\n```sh\nx\n",
		"half a command":           "<!-- e2e -->\n```sh\nx \\\n```\n",
		"half a command not shown": "<!-- run x\n",
		"half a mark":              "<!-- e2e\n```sh\nx\n```\n",
	} {
		if _, err := parseGuide(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
