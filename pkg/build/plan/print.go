package plan

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// title names a stage.
func (s *Stage) title() string {
	if s.Name == "" {
		return "stage " + strconv.Itoa(s.Stage)
	}
	return fmt.Sprintf("stage %d %s", s.Stage, s.Name)
}

// what names a need.
func (p *Plan) what(n *Need) string {
	switch {
	case n.Stage > 0:
		return p.Stages[n.Stage-1].title()
	case n.Context != "":
		return "context " + n.Context
	default:
		return "image " + n.Image
	}
}

// base is what stands behind FROM.
func (p *Plan) base(s *Stage) string {
	switch {
	case s.BaseStage > 0:
		return p.Stages[s.BaseStage-1].title()
	case s.Image == "":
		return "a context"
	}
	return s.Image
}

// Text prints the plan for people: stages in the order in which they can be built,
// what each waits for, and what is skipped.
func (p *Plan) Text(out io.Writer) error {
	var b strings.Builder
	if p.Platform != "" {
		fmt.Fprintf(&b, "platform %s\n", p.Platform)
	}
	last := 0
	for i := range p.Stages {
		last = max(last, p.Stages[i].Wave)
	}
	for wave := 1; wave <= last; wave++ {
		var stages []*Stage
		for i := range p.Stages {
			if p.Stages[i].Wave == wave {
				stages = append(stages, &p.Stages[i])
			}
		}
		fmt.Fprintf(&b, "%d.", wave)
		if len(stages) > 1 {
			fmt.Fprintf(&b, " %d stages side by side", len(stages))
		}
		b.WriteString("\n")
		for _, s := range stages {
			p.stage(&b, s)
		}
	}
	for i := range p.Stages {
		if s := &p.Stages[i]; s.Wave == 0 {
			fmt.Fprintf(&b, "skipped: %s, which the target does not need\n", s.title())
		}
	}
	_, err := io.WriteString(out, b.String())
	return err //nolint:wrapcheck // of the caller's writer
}

func (p *Plan) stage(b *strings.Builder, s *Stage) {
	fmt.Fprintf(b, "   %s from %s, %s", s.title(), p.base(s), count(len(s.Steps), "step"))
	if s.Stage == p.Target {
		b.WriteString(" (target)")
	}
	b.WriteString("\n")
	for i := range s.Needs {
		n := &s.Needs[i]
		if n.By == "FROM" {
			continue // said above
		}
		verb := "needs"
		if n.Stage > 0 {
			verb = "waits for"
		}
		fmt.Fprintf(b, "      step %d %s %s: %s\n", n.Step, verb, p.what(n), n.By)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// JSON prints the plan for machines.
func (p *Plan) JSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(p) //nolint:wrapcheck // of the caller's writer
}

// Dot prints the plan as a graph for Graphviz: an arrow goes from what is needed
// to what needs it.
func (p *Plan) Dot(out io.Writer) error {
	var b strings.Builder
	name := "build"
	if p.Platform != "" {
		name += " " + p.Platform
	}
	fmt.Fprintf(&b, "digraph %s {\n  rankdir=LR;\n  node [shape=box];\n", strconv.Quote(name))
	images := map[string]bool{}
	source := func(label string) string {
		if !images[label] {
			images[label] = true
			fmt.Fprintf(&b, "  %s [shape=ellipse];\n", strconv.Quote(label))
		}
		return strconv.Quote(label)
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		style := ""
		switch {
		case s.Wave == 0:
			style = ", style=dashed"
		case s.Stage == p.Target:
			style = ", style=bold"
		}
		fmt.Fprintf(&b, "  s%d [label=%s%s];\n", s.Stage, strconv.Quote(s.title()+"\n"+count(len(s.Steps), "step")), style)
		if s.Image != "" && s.Image != scratch {
			fmt.Fprintf(&b, "  %s -> s%d [label=\"FROM\"];\n", source(s.Image), s.Stage)
		}
		for j := range s.Needs {
			n := &s.Needs[j]
			from := "s" + strconv.Itoa(n.Stage)
			if n.Stage == 0 {
				from = source(strings.TrimPrefix(p.what(n), "image "))
			}
			label := n.By
			if n.Step > 1 {
				label += "\nstep " + strconv.Itoa(n.Step)
			}
			fmt.Fprintf(&b, "  %s -> s%d [label=%s];\n", from, s.Stage, strconv.Quote(label))
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(out, b.String())
	return err //nolint:wrapcheck // of the caller's writer
}
