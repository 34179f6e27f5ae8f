// Command gen writes the reference of all commands, one Markdown file each,
// into the directory DOCS/reference, and deletes what is no longer a command
// there. It fails when a command lacks a description or an example. It writes
// DOCS/compatibility.md too, from the marks in the end-to-end scripts. As `gen man` it
// writes manual pages instead.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/rootless-pod/pod/cmd/pod/app/whole"
)

func main() {
	if len(os.Args) != 3 && (len(os.Args) != 4 || os.Args[1] != "man") {
		fmt.Fprintln(os.Stderr, "usage: gen DOCS SCRIPTS, or gen man DOCS DIRECTORY")
		os.Exit(2)
	}
	if os.Args[1] == "man" {
		epoch := os.Getenv("SOURCE_DATE_EPOCH")
		_ = os.Unsetenv("SOURCE_DATE_EPOCH") // or it would be a default of build's
		fail(manual(whole.Tree(), os.Args[2], os.Args[3], epoch))
		return
	}
	docs, scripts := os.Args[1], os.Args[2]
	err := generate(whole.Tree(), filepath.Join(docs, "reference"))
	if err == nil {
		err = quadletPage(filepath.Join(docs, "reference"))
	}
	if err == nil {
		err = compatibility(whole.Tree(), os.DirFS(scripts), filepath.Join(docs, "compatibility.md"))
	}
	fail(err)
}

// fail ends the program if there is an error.
func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(root *cobra.Command, dir string) error {
	if err := complete(root); err != nil {
		return err
	}
	disableDate(root)
	old, err := filepath.Glob(filepath.Join(dir, "pod*.md"))
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("remove old page: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // pages are for all
		return fmt.Errorf("create directory: %w", err)
	}
	if err := doc.GenMarkdownTree(root, dir); err != nil {
		return fmt.Errorf("write pages: %w", err)
	}
	return nil
}

// disableDate keeps the day of generation out, or every day would be a diff.
func disableDate(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	for _, sub := range cmd.Commands() {
		disableDate(sub)
	}
}

// complete reports every visible command without Short, Long or Example.
// A group, which only prints its own help, needs no example.
func complete(cmd *cobra.Command) error {
	if cmd.Hidden {
		return nil
	}
	var missing []string
	if cmd.Short == "" {
		missing = append(missing, "Short")
	}
	if cmd.Long == "" {
		missing = append(missing, "Long")
	}
	if cmd.Example == "" && !cmd.HasSubCommands() {
		missing = append(missing, "Example")
	}
	var errs []error
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("%s has no %s", cmd.CommandPath(), strings.Join(missing, ", ")))
	}
	for _, sub := range cmd.Commands() {
		errs = append(errs, complete(sub))
	}
	return errors.Join(errs...)
}
