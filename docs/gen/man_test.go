package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/whole"
)

func TestManual(t *testing.T) {
	var first []byte
	for range 2 { // the same sources give the same pages
		dir := t.TempDir()
		if err := manual(whole.Tree(), "..", dir, "1700000000"); err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, name := range []string{"man1/pod.1", "man1/pod-run.1", "man1/pod-boot-enable.1", "man5/pod.toml.5", "man7/pod-guide-disk.7"} {
			page, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, page...)
		}
		if first != nil && string(first) != string(all) {
			t.Error("two runs differ")
		}
		first = all
	}
	for _, want := range []string{
		`.TH "POD\-RUN" "1" "2023-11-14" "pod `, "\\fB\\-d\\fR, \\fB\\-\\-detach\\fR\n", ".SH NAME\npod\\-guide\\-disk \\- Disk",
	} {
		if !strings.Contains(string(first), want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestManPageOfHostileWords(t *testing.T) {
	cmd := &cobra.Command{
		Use: "pod [options] -x", Short: "Do it", Example: "  pod 'a' ^b ~c \\d\n  .so /etc/passwd",
		Long: ".so /etc/passwd\n'tis `-x` here\n\n  set\n    in\n\nlast", Run: func(*cobra.Command, []string) {},
	}
	cmd.Flags().StringArray("with-value", nil, "Take a `THING`")
	m := manPages{dir: t.TempDir(), date: "2023-11-14"}
	page := m.command(cmd)
	for _, want := range []string{
		"\\fBpod\\fR [options] \\-x\n", "\n\\&.so /etc/passwd\n\\&'tis \\fB\\-x\\fR here\n.PP\n.nf\n  set\n    in\n.fi\n.PP\nlast\n",
		".nf\n  pod \\(aqa\\(aq \\(hab \\(tic \\ed\n", "\\fB\\-\\-with\\-value\\fR \\fITHING\\fR\nTake a THING\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, "\n.so") {
		t.Error("a line of text became a request")
	}
}

func TestListTables(t *testing.T) {
	const in = "a\n\n| key | meaning |\n|---|:-:|\n| `x` | y z |\n\nb\n| | in | out |\n|---|---|---|\n| n | 1 | |\n"
	const want = "a\n\n`x`\n: y z\n\n\nb\nn\n: in: 1\n\n"
	if got := listTables(in); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
