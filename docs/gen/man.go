package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/internal/version"
)

// manual writes manual pages below dir: one of section 1 for each command, one of
// section 5 for each page in docs/man, one of section 7 for each guide. They bear
// the day of epoch, in seconds since 1970, so that a build of the same sources gives the same.
func manual(root *cobra.Command, docs, dir, epoch string) error {
	if err := complete(root); err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("read SOURCE_DATE_EPOCH: %w", err)
	}
	m := manPages{dir: dir, date: time.Unix(seconds, 0).UTC().Format(time.DateOnly)}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove old pages: %w", err)
	}
	if err := m.tree(root); err != nil {
		return err
	}
	for _, set := range []struct{ glob, prefix, section string }{{"man/*.md", "", "5"}, {"guides/*.md", "pod-guide-", "7"}} {
		files, err := filepath.Glob(filepath.Join(docs, set.glob))
		if err != nil {
			return fmt.Errorf("list %s: %w", set.glob, err)
		}
		for _, file := range files {
			name := set.prefix + strings.TrimSuffix(filepath.Base(file), ".md")
			if err := m.text(file, name, set.section); err != nil {
				return err
			}
		}
	}
	return nil
}

type manPages struct{ dir, date string }

func (m *manPages) write(name, section, text string) error {
	dir := filepath.Join(m.dir, "man"+section)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // pages are for all
		return fmt.Errorf("create directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+"."+section), []byte(text), 0o644); err != nil { //nolint:gosec // pages are for all
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// head is the first line of a page.
func (m *manPages) head(name, section, title string) string {
	return fmt.Sprintf(`.TH "%s" "%s" "%s" "%s" "%s"`+"\n", roff(strings.ToUpper(name)), section, m.date, "pod "+roff(version.Version), title)
}

func (m *manPages) tree(cmd *cobra.Command) error {
	if cmd.Hidden {
		return nil
	}
	errs := []error{m.write(pageName(cmd), "1", m.command(cmd))}
	for _, sub := range cmd.Commands() {
		errs = append(errs, m.tree(sub))
	}
	return errors.Join(errs...)
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// command is the page of one command.
func (m *manPages) command(cmd *cobra.Command) string {
	var b strings.Builder
	b.WriteString(m.head(pageName(cmd), "1", "User Commands"))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", roff(pageName(cmd)), roff(cmd.Short))
	names := append([]string{cmd.Name()}, cmd.Aliases...)
	_, arguments, _ := strings.Cut(cmd.Use, " ")
	for i, name := range names {
		if i > 0 {
			b.WriteString(".br\n")
		}
		path := strings.TrimSpace(parentPath(cmd) + " " + name)
		fmt.Fprintf(&b, "%s\n", strings.TrimSpace(`\fB`+roff(path)+`\fR `+roff(arguments)))
	}
	b.WriteString(".SH DESCRIPTION\n" + prose(cmd.Long))
	see := []string{}
	if cmd.HasParent() {
		see = append(see, pageName(cmd.Parent()))
	}
	var subs strings.Builder
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			fmt.Fprintf(&subs, ".TP\n\\fB%s\\fR(1)\n%s\n", roff(pageName(sub)), roff(sub.Short))
			see = append(see, pageName(sub))
		}
	}
	if subs.Len() > 0 {
		b.WriteString(".SH COMMANDS\n" + subs.String())
	}
	if options := manOptions(cmd); options != "" {
		b.WriteString(".SH OPTIONS\n" + options)
	}
	if cmd.Example != "" {
		b.WriteString(".SH EXAMPLES\n" + verbatim(cmd.Example))
	}
	if len(see) > 0 {
		for i := range see {
			see[i] = `\fB` + roff(see[i]) + `\fR(1)`
		}
		b.WriteString(".SH SEE ALSO\n" + strings.Join(see, ",\n") + "\n")
	}
	return b.String()
}

func parentPath(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return ""
	}
	return cmd.Parent().CommandPath()
}

// manOptions lists the flags of the command; those of all commands are in pod(1).
func manOptions(cmd *cobra.Command) string {
	var b strings.Builder
	list := func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		b.WriteString(".TP\n")
		if f.Shorthand != "" && f.ShorthandDeprecated == "" {
			fmt.Fprintf(&b, `\fB%s\fR, `, roff("-"+f.Shorthand))
		}
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(&b, `\fB%s\fR`, roff("--"+f.Name))
		if value == "strings" || value == "stringArray" { // it may be given several times, as its text says
			value = "string"
		}
		if value != "" {
			fmt.Fprintf(&b, ` \fI%s\fR`, roff(value))
		}
		b.WriteString("\n" + prose(usage))
		if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "[]" && d != "0s" {
			fmt.Fprintf(&b, "(default %s)\n", roff(d))
		}
	}
	cmd.LocalFlags().VisitAll(list)
	if cmd.HasParent() && b.Len() > 0 {
		b.WriteString(".PP\nOptions of every command are in \\fBpod\\fR(1).\n")
	}
	return b.String()
}

// roff writes text so that nothing of it is a request, an escape or a ligature.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// prose writes paragraphs, with `code` in bold; lines that are set in are verbatim.
func prose(text string) string {
	code := regexp.MustCompile("`([^`]+)`")
	var b strings.Builder
	for i, paragraph := range regexp.MustCompile(`\n\s*\n`).Split(strings.Trim(text, "\n"), -1) {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, "  ") {
			b.WriteString(verbatim(paragraph))
			continue
		}
		for line := range strings.Lines(paragraph) {
			b.WriteString(code.ReplaceAllString(roff(strings.TrimSpace(line)), `\fB$1\fR`) + "\n")
		}
	}
	return b.String()
}

// verbatim keeps lines as they are.
func verbatim(text string) string {
	var b strings.Builder
	b.WriteString(".nf\n")
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		b.WriteString(strings.NewReplacer("'", `\(aq`, "`", `\(ga`).Replace(roff(strings.TrimRight(line, " \n"))) + "\n")
	}
	b.WriteString(".fi\n")
	return b.String()
}

// text writes the page of a Markdown file, whose first heading says what it is about.
func (m *manPages) text(file, name, section string) error {
	source, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	heading, body, found := strings.Cut(string(source), "\n")
	about, ok := strings.CutPrefix(heading, "# ")
	if !found || !ok {
		return fmt.Errorf("%s: the first line is no heading", file)
	}
	body = regexp.MustCompile(`(?m)^<!--.*-->\n`).ReplaceAllString(body, "")
	// Links lead nowhere in a terminal; their words stay.
	body = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`).ReplaceAllString(body, "$1")
	body = strings.TrimLeft(body, "\n")
	if !strings.HasPrefix(body, "## ") {
		body = "## Description\n\n" + body
	}
	body = listTables(body)
	// The first heading becomes a title of md2man's own, with the day of today.
	page := string(md2man.Render([]byte("# title\n\n" + body)))
	_, page, _ = strings.Cut(page, ".SH")
	title := map[string]string{"5": "File Formats", "7": "Guides of pod"}[section]
	return m.write(name, section, m.head(name, section, title)+
		fmt.Sprintf(".SH NAME\n%s \\- %s\n.SH", roff(name), roff(about))+page)
}

// listTables makes a list of each Markdown table: a terminal's width is too small for
// many, and roff does not wrap cells. Of more than two columns each is named.
func listTables(body string) string {
	var b strings.Builder
	var head []string
	for line := range strings.Lines(body) {
		row, ok := strings.CutPrefix(strings.TrimRight(line, " \n"), "|")
		if !ok {
			head = nil
			b.WriteString(line)
			continue
		}
		cells := strings.Split(strings.TrimSuffix(row, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case head == nil:
			head = cells
		case strings.Trim(row, "|-: ") == "": // the line below the head
		default:
			b.WriteString(definition(head, cells))
		}
	}
	return b.String()
}

// definition is a row of a table as an entry of a list.
func definition(head, cells []string) string {
	term := cells[0]
	if term == "" {
		term = "also"
	}
	rest := []string{}
	for i, cell := range cells[1:] {
		if len(cells) > 2 && i+1 < len(head) && head[i+1] != "" && cell != "" {
			cell = head[i+1] + ": " + cell
		}
		if cell != "" {
			rest = append(rest, cell)
		}
	}
	return term + "\n: " + strings.Join(rest, "; ") + "\n\n"
}
