package main

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"time"
)

// runs are two starts as watch would have seen them.
func runs() []start {
	return []start{
		{
			Tool: podName, Command: "pod run --rm IMAGE true", Elapsed: 40,
			Phases: []phase{{"state.add", 8, 1.5}, {"a <&> \"b\"", 5, 34}, {"short", 9, 0.1}, {"pod", 5, 35}},
			Processes: []process{
				{PID: 10, Parent: 1, Begin: 0.5, End: 40, Programs: []program{{"bench", 0.5}, {"pod", 1}}},
				{PID: 11, Parent: 10, Begin: 10, End: 38, Programs: []program{{"pod", 10}, {"conmon", 11}}},
				{PID: 12, Parent: 11, Begin: 14, End: 30, Programs: []program{{"conmon", 14}, {"crun", 15}, {"true", 29}}},
			},
		},
		{
			Tool: podmanName, Command: "podman run --rm IMAGE true", Elapsed: 120,
			Processes: []process{{PID: 20, Parent: 1, Begin: 1, End: 119, Programs: []program{{"podman", 1}}}},
		},
	}
}

func TestPicture(t *testing.T) {
	var out bytes.Buffer
	h := head{Time: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), Machine: "2 x <CPU>", Tools: "pod 1 & podman 2"}
	if err := draw(&out, h, runs()); err != nil {
		t.Fatal(err)
	}
	var svg element
	if err := xml.Unmarshal(out.Bytes(), &svg); err != nil {
		t.Fatalf("not XML: %v", err)
	}
	if svg.XMLName.Local != "svg" || svg.XMLName.Space != "http://www.w3.org/2000/svg" {
		t.Errorf("the root is %v", svg.XMLName)
	}
	var texts []string
	bars := map[string][]string{} // class to begin and width
	var walk func(*element)
	walk = func(e *element) {
		if e.XMLName.Local == "text" {
			texts = append(texts, e.Text)
		}
		attrs := map[string]string{}
		for _, a := range e.Attrs {
			attrs[a.Name.Local] = a.Value
		}
		if e.XMLName.Local == "rect" && attrs["y"] != "" {
			bars[attrs["class"]] = append(bars[attrs["class"]], attrs["x"]+" "+attrs["width"])
		}
		for _, c := range e.Children {
			walk(c)
		}
	}
	walk(&svg)
	all := strings.Join(texts, "\n")
	for _, want := range []string{
		"One start of a container", "pod run --rm IMAGE true: returns after 40 ms, 3 processes", "podman run --rm IMAGE true: returns after 120 ms",
		"a <&> \"b\"", "crun → true", "2 x <CPU>", "pod 1 & podman 2", "ms", "OCI runtime (crun)",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the picture does not say %q:\n%s", want, all)
		}
	}
	if n := len(bars["step"]); n != 3 { // state.add, a, and the legend's
		t.Errorf("%d bars of steps", n)
	}
	// 120 ms are 730 wide: both tools have the same scale. The last of each class is the legend's.
	for class, want := range map[string]string{"container": "386.4 6.1", "runtime": "301.3 85.2", "monitor": "276.9 164.3 295.2 6.1"} {
		got := bars[class][:len(bars[class])-1]
		if strings.Join(got, " ") != want {
			t.Errorf("bars of %s are at %v, want %s", class, got, want)
		}
	}
	if !strings.Contains(out.String(), "prefers-color-scheme:dark") {
		t.Error("no colours for a dark ground")
	}
}

func TestLabel(t *testing.T) {
	tool := &process{Programs: []program{{"pod", 0}}}
	for _, tc := range []struct {
		parent *process
		names  []string
		want   string
	}{
		{nil, []string{"bench", "pod"}, "pod"},
		{tool, []string{"pod", "newuidmap"}, "newuidmap"},
		{tool, []string{"pod"}, "pod"},
		{tool, []string{"conmon", "crun", "true"}, "conmon → crun → true"},
	} {
		var p process
		for _, name := range tc.names {
			p.Programs = append(p.Programs, program{Name: name})
		}
		if got := p.label(tc.parent); got != tc.want {
			t.Errorf("label of %v is %q, want %q", tc.names, got, tc.want)
		}
	}
}
