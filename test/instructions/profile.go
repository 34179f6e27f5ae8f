package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// profile is where the instructions of one command went.
type profile struct {
	total     int64
	functions map[string]int64
}

// parse reads what cachegrind writes: fn= lines, each followed by lines of a line's
// number and count, and a summary.
func parse(text string) (*profile, error) {
	p := &profile{functions: map[string]int64{}}
	function := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "fn="):
			function = line[len("fn="):]
		case strings.HasPrefix(line, "summary:"):
			total, err := strconv.ParseInt(strings.TrimSpace(line[len("summary:"):]), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the profile: %w", err)
			}
			p.total = total
		case line != "" && line[0] >= '0' && line[0] <= '9':
			_, count, _ := strings.Cut(line, " ")
			n, err := strconv.ParseInt(count, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the profile: %w", err)
			}
			p.functions[function] += n
		}
	}
	if p.total == 0 {
		return nil, fmt.Errorf("read the profile: no summary")
	}
	return p, nil
}

// native is what is no Go.
const native = "C and assembly"

// packageOf is the import path in the name of a function.
func packageOf(function string) string {
	name, _, _ := strings.Cut(function, "[")
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot <= 0 || strings.Contains(name, "@") {
		return native
	}
	return name[:slash+dot]
}

// packages adds up functions.
func (p *profile) packages() map[string]int64 {
	all := map[string]int64{}
	for name, n := range p.functions {
		all[packageOf(name)] += n
	}
	return all
}

// change is a package that takes more than before.
type change struct {
	name        string
	before, now int64
	// top are its most expensive functions.
	top []string
}

// worth is the part of all instructions that a package must have to be recorded.
const worth = 400

// grown are the packages that grew most, compared with recorded ones. What is not
// recorded was small.
func (p *profile) grown(before map[string]int64) []change {
	const most = 10
	var all []change
	for name, now := range p.packages() {
		then, ok := before[name]
		if !ok {
			then = p.total / worth
		}
		if now-then > p.total/1000 {
			all = append(all, change{name: name, before: then, now: now})
		}
	}
	slices.SortFunc(all, func(x, y change) int { return cmp.Compare(y.now-y.before, x.now-x.before) })
	all = all[:min(len(all), most)]
	for i := range all {
		all[i].top = p.top(all[i].name)
	}
	return all
}

func (p *profile) top(pkg string) []string {
	names := slices.SortedFunc(maps.Keys(p.functions), func(x, y string) int {
		return cmp.Or(cmp.Compare(p.functions[y], p.functions[x]), strings.Compare(x, y))
	})
	names = slices.DeleteFunc(names, func(name string) bool { return packageOf(name) != pkg })
	return names[:min(len(names), 3)]
}
