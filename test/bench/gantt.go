package main

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Sizes of the picture, in its own units.
const (
	wide     = 1000.0
	labels   = 210.0 // room for names on the left
	right    = 60.0  // and for durations behind bars
	rowH     = 15.0
	footer   = 92.0
	shortest = 0.3 // ms of a step that is shown
	barH     = 10.0
	panelGap = 34.0
)

// kinds are what a bar shows, with its colour on light and dark ground.
var kinds = []struct{ class, text, light, dark string }{ //nolint:gochecknoglobals // a table
	{"tool", "the tool itself", "#0969da", "#4493f8"},
	{"monitor", "monitor (conmon)", "#8250df", "#ab7df8"},
	{"runtime", "OCI runtime (crun)", "#1a7f37", "#3fb950"},
	{"network", "network", "#bc4c00", "#f0883e"},
	{"container", "the container's process", "#cf222e", "#ff7b72"},
	{"other", "other programs", "#6e7781", "#8b949e"},
	{"step", "steps of pod, as --trace tells", "#b6d4fe", "#1f4d85"},
}

// kindOf says which of them a program is.
func kindOf(name string) string {
	switch name {
	case podName, podmanName:
		return "tool"
	case "conmon":
		return "monitor"
	case "crun", "runc":
		return "runtime"
	case "pasta", "pasta.avx2", "passt", "slirp4netns", "netavark", "aardvark-dns", "nft", "iptables", "ip", "rootlessport":
		return "network"
	case "true":
		return "container"
	}
	return "other"
}

// picture watches starts of both tools and draws them.
func (b *bench) picture(ctx context.Context, path string, rounds int) (err error) {
	if b.report.Starts, err = b.starts(ctx, rounds); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) //nolint:gosec // a picture for everybody
	if err != nil {
		return err
	}
	err = draw(f, b.report.head, b.report.Starts)
	return cmp.Or(err, f.Close())
}

// element is one of the picture, with what is in it.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []*element `xml:",any"`
}

// add puts an element into another. Attributes are names and values in turn.
func (e *element) add(name, text string, attrs ...any) *element {
	child := newElement(name, text, attrs...)
	e.Children = append(e.Children, child)
	return child
}

func newElement(name, text string, attrs ...any) *element {
	e := &element{XMLName: xml.Name{Local: name}, Text: text}
	for i := 0; i+1 < len(attrs); i += 2 {
		value := fmt.Sprint(attrs[i+1])
		if x, ok := attrs[i+1].(float64); ok {
			value = strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
		}
		e.Attrs = append(e.Attrs, xml.Attr{Name: xml.Name{Local: fmt.Sprint(attrs[i])}, Value: value})
	}
	return e
}

// bar is a line of the picture: parts of one colour each, and what is said about it.
type bar struct {
	label, title string
	parts        []part
}

type part struct {
	kind       string
	begin, end float64
}

// draw writes the picture: for each start its steps and its processes, all on one
// scale of time.
func draw(out io.Writer, h head, starts []start) error {
	longest, rows := 0.0, 0
	for _, s := range starts {
		longest = max(longest, s.Elapsed)
		for _, p := range s.Processes {
			longest = max(longest, p.End)
		}
		rows += len(s.steps()) + len(s.Processes)
	}
	top := 64.0
	height := top + float64(rows)*rowH + float64(len(starts))*panelGap + footer
	svg := newElement("svg", "", "xmlns", "http://www.w3.org/2000/svg", "viewBox", fmt.Sprintf("0 0 %.0f %.0f", wide, height),
		"width", wide, "height", height, "role", "img", "aria-labelledby", "title")
	title := "One start of a container, process by process"
	svg.add("title", title, "id", "title")
	svg.add("style", style())
	svg.add("rect", "", "class", "ground", "width", wide, "height", height)
	svg.add("text", title, "class", "head", "x", 16.0, "y", 26.0)
	svg.add("text", fmt.Sprintf("Each bar is a process, seen from outside every half a millisecond, in the run of median length. Steps below %g ms are left out.", shortest),
		"class", "small", "x", 16.0, "y", 44.0)
	p := plot{svg: svg, y: top, scale: (wide - labels - right) / max(longest, 1)}
	bottom := height - footer
	p.axis(longest, top-8, bottom)
	for _, s := range starts {
		p.panel(s)
	}
	p.legend(bottom + 34)
	lines := append([]string{h.Machine + "; " + h.Time.Format("2 January 2006")}, wrap(h.Tools, "; ", 160)...)
	for i, line := range lines {
		svg.add("text", line, "class", "small", "x", 16.0, "y", bottom+54+14*float64(i))
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(out)
	e.Indent("", " ")
	if err := e.Encode(svg); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	_, err := io.WriteString(out, "\n")
	return err
}

// wrap breaks a text after separators.
func wrap(text, separator string, width int) []string {
	lines := []string{""}
	for _, word := range strings.SplitAfter(text, separator) {
		if last := len(lines) - 1; len(lines[last])+len(word) <= width {
			lines[last] += word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// style has the colours, for a light ground and for a dark one.
func style() string {
	light := "text{font:11px system-ui,sans-serif;fill:#1f2328}.ground{fill:#fff}.head{font-size:17px;font-weight:600}" +
		".panel{font-size:13px;font-weight:600}.small,.tick{fill:#59636e;font-size:10px}.grid{stroke:#d1d9e0}.end{stroke:#1f2328;stroke-dasharray:4 3}"
	dark := "text{fill:#e6edf3}.ground{fill:#0d1117}.small,.tick{fill:#9198a1}.grid{stroke:#2f353d}.end{stroke:#e6edf3}"
	var lights, darks strings.Builder
	for _, k := range kinds {
		lights.WriteString("." + k.class + "{fill:" + k.light + "}")
		darks.WriteString("." + k.class + "{fill:" + k.dark + "}")
	}
	return light + lights.String() + "@media (prefers-color-scheme:dark){" + dark + darks.String() + "}"
}

// plot is where drawing has got to.
type plot struct {
	svg   *element
	y     float64
	scale float64 // units of the picture a ms
}

func (p *plot) x(ms float64) float64 { return labels + ms*p.scale }

// axis draws the scale: some ten lines.
func (p *plot) axis(longest, top, bottom float64) {
	step := 1.0
	for _, s := range []float64{2, 5, 10, 20, 50, 100, 200, 500, 1000} {
		if longest/step > 12 {
			step = s
		}
	}
	for ms := 0.0; ms <= longest; ms += step {
		p.svg.add("line", "", "class", "grid", "x1", p.x(ms), "x2", p.x(ms), "y1", top, "y2", bottom)
		p.svg.add("text", number(ms, 0), "class", "tick", "x", p.x(ms), "y", bottom+12, "text-anchor", "middle")
	}
	p.svg.add("text", "ms", "class", "tick", "x", wide-16, "y", bottom+12, "text-anchor", "end")
}

// panel draws one start.
func (p *plot) panel(s start) {
	p.svg.add("text", fmt.Sprintf("%s: returns after %.0f ms, %d processes", s.Command, s.Elapsed, len(s.Processes)),
		"class", "panel", "x", 16.0, "y", p.y+12)
	p.y += 20
	top := p.y
	for _, process := range s.Processes {
		p.bar(processBar(process, s.Processes))
	}
	for _, f := range s.steps() {
		p.bar(bar{label: f.Name, title: "step", parts: []part{{"step", f.Start, f.Start + f.Duration}}})
	}
	p.svg.add("line", "", "class", "end", "x1", p.x(s.Elapsed), "x2", p.x(s.Elapsed), "y1", top-4, "y2", p.y+2)
	p.y += panelGap - 20
}

// steps are the phases that are long enough to be seen, without the whole.
func (s start) steps() []phase {
	return slices.DeleteFunc(slices.Clone(s.Phases), func(f phase) bool { return f.Name == s.Tool || f.Duration < shortest })
}

// processBar is a bar with a part for each program that the process has been.
func processBar(q process, all []process) bar {
	var parent *process
	if i := slices.IndexFunc(all, func(x process) bool { return x.PID == q.Parent }); i >= 0 {
		parent = &all[i]
	}
	b := bar{label: q.label(parent), title: fmt.Sprintf("process %d", q.PID)}
	for i, x := range q.Programs {
		end := q.End
		if i+1 < len(q.Programs) {
			end = q.Programs[i+1].Begin
		}
		b.parts = append(b.parts, part{kindOf(x.Name), x.Begin, end})
	}
	return b
}

func (p *plot) bar(b bar) {
	begin, end := math.Inf(1), 0.0
	for _, x := range b.parts {
		begin, end = min(begin, x.begin), max(end, x.end)
	}
	row := p.svg.add("g", "")
	row.add("title", fmt.Sprintf("%s: %s, %.1f to %.1f ms", b.title, b.label, begin, end))
	row.add("text", b.label, "x", labels-8, "y", p.y+9, "text-anchor", "end")
	for _, x := range b.parts {
		row.add("rect", "", "class", x.kind, "x", p.x(x.begin), "y", p.y, "width", max((x.end-x.begin)*p.scale, 1), "height", barH)
	}
	row.add("text", number(end-begin, 1), "class", "small", "x", p.x(end)+4, "y", p.y+9)
	p.y += rowH
}

func (p *plot) legend(y float64) {
	x := 16.0
	for _, k := range kinds {
		p.svg.add("rect", "", "class", k.class, "x", x, "y", y-9, "width", barH, "height", barH)
		p.svg.add("text", k.text, "x", x+15, "y", y)
		x += 28 + 6.1*float64(len(k.text))
	}
}
