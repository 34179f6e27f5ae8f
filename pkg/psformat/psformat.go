// Package psformat owns the arguments of ps(1) that choose columns. It leaves to
// others which processes are shown, and what is in a column.
package psformat

import (
	"fmt"
	"slices"
	"strings"
)

// Column is a keyword of ps(1), and the heading it is shown under.
type Column struct{ Keyword, Heading string }

// Presets of ps(1), in the words of its manual: "standard", "BSD", "full",
// "user-oriented".
const (
	standard = "pid,tty,cputime,ucmd"
	bsd      = "pid,tty,stat,bsdtime,args"
	full     = "uid_name,pid,ppid,c,stime,tty,cputime,cmd"
	user     = "user,pid,%cpu,%mem,vsz,rss,tty,stat,start_time,bsdtime,args"
)

// Headings of the keywords, as procps has them.
func headings() map[string]string {
	return map[string]string{
		"%cpu": "%CPU", "pcpu": "%CPU", "%mem": "%MEM", "pmem": "%MEM", "args": "COMMAND", "cmd": "CMD", "command": "COMMAND",
		"comm": "COMMAND", "ucmd": "CMD", "ucomm": "COMMAND", "c": "C", "bsdtime": "TIME", "cputime": "TIME", "time": "TIME",
		"cputimes": "TIME", "times": "TIME", "etime": "ELAPSED", "etimes": "ELAPSED", "egid": "EGID", "gid": "GID", "rgid": "RGID",
		"egroup": "EGROUP", "group": "GROUP", "rgroup": "RGROUP", "euid": "EUID", "uid": "UID", "ruid": "RUID", "euser": "EUSER",
		"ruser": "RUSER", "user": "USER", "uname": "USER", "uid_name": "UID", "label": "LABEL", "lstart": "STARTED",
		"start": "STARTED", "start_time": "START", "stime": "STIME", "ni": "NI", "nice": "NI", "nlwp": "NLWP", "thcount": "THCNT",
		"pgid": "PGID", "pgrp": "PGRP", "pid": "PID", "ppid": "PPID", "rss": "RSS", "rssize": "RSS", "rsz": "RSZ", "s": "S",
		"state": "S", "stat": "STAT", "sess": "SESS", "sid": "SID", "session": "SESS", "tname": "TTY", "tt": "TT", "tty": "TT",
		"vsize": "VSZ", "vsz": "VSZ",
	}
}

// Keywords lists what Parse knows, sorted.
func Keywords() []string {
	var all []string
	for keyword := range headings() {
		if keyword != "uid_name" { // a name of our own
			all = append(all, keyword)
		}
	}
	slices.Sort(all)
	return all
}

// Parse reads arguments of ps(1). Those that choose processes (-e, -A, a, x) say
// nothing here: all processes of a container are shown anyway.
func Parse(args []string) ([]Column, error) {
	p := parser{preset: standard}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case strings.HasPrefix(arg, "--"):
			args, err = p.long(arg[2:], args)
		default:
			args, err = p.cluster(arg, args)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(p.columns) > 0 {
		return p.columns, nil
	}
	if err := p.formats(p.preset, true); err != nil {
		return nil, err
	}
	return p.columns, nil
}

type parser struct {
	preset  string
	columns []Column
}

func (p *parser) long(name string, rest []string) ([]string, error) {
	name, value, given := strings.Cut(name, "=")
	switch name {
	case "format":
		if !given {
			if len(rest) == 0 {
				return nil, fmt.Errorf("ps: --format needs a list of columns")
			}
			value, rest = rest[0], rest[1:]
		}
		return rest, p.formats(value, false)
	case "no-headers", "no-heading", "noheadings", "noheaders", "no-headings", "cumulative", "width", "cols", "columns":
		return nil, fmt.Errorf("ps: --%s is not supported yet", name)
	}
	return nil, fmt.Errorf("ps: unknown option --%s: choose columns with -o", name)
}

// cluster reads letters, with a dash or without.
func (p *parser) cluster(arg string, rest []string) ([]string, error) {
	letters, dashed := strings.CutPrefix(arg, "-")
	for i, letter := range letters {
		switch letter {
		case 'e', 'A', 'a', 'x', 'w', 'd', 'g':
			if !dashed && p.preset == standard {
				p.preset = bsd
			}
		case 'f', 'F':
			p.preset = full
			if !dashed {
				p.preset = bsd
			}
		case 'u':
			if dashed {
				return nil, fmt.Errorf("ps: -u chooses processes by user, which is not supported: use the column user")
			}
			p.preset = user
		case 'o', 'O':
			if letter == 'O' {
				return nil, fmt.Errorf("ps: -O is not supported yet: use -o")
			}
			value := letters[i+1:]
			if value == "" {
				if len(rest) == 0 {
					return nil, fmt.Errorf("ps: -o needs a list of columns")
				}
				value, rest = rest[0], rest[1:]
			}
			return rest, p.formats(value, false)
		default:
			return nil, fmt.Errorf("ps: option %q of %q is not supported: choose columns with -o %s", letter, arg, "LIST")
		}
	}
	return rest, nil
}

// formats adds a list of keywords; KEYWORD=HEADING takes the rest of the list as
// the heading.
func (p *parser) formats(list string, preset bool) error {
	known := headings()
	for list != "" {
		word, rest, _ := strings.Cut(list, ",")
		keyword, heading, renamed := strings.Cut(word, "=")
		if renamed {
			_, heading, _ = strings.Cut(list, "=")
			rest = ""
		}
		normal, ok := known[strings.TrimSpace(keyword)]
		if !ok {
			return fmt.Errorf("ps: unknown column %q: use %s", keyword, strings.Join(Keywords(), ", "))
		}
		switch {
		case renamed:
			normal = heading
		case preset && (keyword == "tty"):
			normal = "TTY"
		}
		p.columns = append(p.columns, Column{Keyword: strings.TrimSpace(keyword), Heading: normal})
		list = rest
	}
	return nil
}
