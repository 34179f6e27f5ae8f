package libpod

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/psformat"
)

// psColumns are the columns that arguments of ps(1) choose. The field runs the
// host's ps inside the container for them; here they are read like all others, so
// that no program of anybody's meets the container's files.
func psColumns(args []string) ([]descriptor, error) {
	columns, err := psformat.Parse(args)
	if err != nil {
		return nil, err
	}
	chosen := make([]descriptor, 0, len(columns))
	for _, c := range columns {
		value := psValue(c.Keyword)
		if value == nil {
			return nil, fmt.Errorf("ps: column %q is not supported yet", c.Keyword)
		}
		chosen = append(chosen, descriptor{name: c.Keyword, heading: c.Heading, value: value})
	}
	return chosen, nil
}

// psValue is what ps(1) shows under a keyword.
func psValue(keyword string) func(*view, *proc) string {
	status := func(field string, i int) func(*view, *proc) string {
		return func(_ *view, p *proc) string { return orUnknown(p.at(field, i)) }
	}
	switch keyword {
	case "pid", "ppid", "pgid", "nice", "label", "args", "comm", "ruser", "rgroup":
		return byDescriptor(keyword)
	case "pgrp":
		return byDescriptor("pgid")
	case "ni":
		return byDescriptor("nice")
	case "cmd", "command":
		return byDescriptor("args")
	case "ucmd", "ucomm":
		return byDescriptor("comm")
	case "user", "euser", "uname", "uid_name":
		return byDescriptor("user")
	case "group", "egroup":
		return byDescriptor("group")
	case "tty", "tt", "tname":
		return byDescriptor("tty")
	case "vsz", "vsize":
		return byDescriptor("vsz")
	case "uid", "euid":
		return func(v *view, p *proc) string { return v.uids.inner(p.at("Uid", 1)) }
	case "ruid":
		return func(v *view, p *proc) string { return v.uids.inner(p.at("Uid", 0)) }
	case "gid", "egid":
		return func(v *view, p *proc) string { return v.gids.inner(p.at("Gid", 1)) }
	case "rgid":
		return func(v *view, p *proc) string { return v.gids.inner(p.at("Gid", 0)) }
	case "sid", "sess", "session":
		return func(v *view, p *proc) string { return orUnknown(p.at("NSsid", v.level)) }
	case "rss", "rssize", "rsz":
		return func(_ *view, p *proc) string { return p.resident() }
	case "nlwp", "thcount":
		return status("Threads", 0)
	case "s", "state":
		return func(_ *view, p *proc) string { return p.state }
	case "stat":
		return (*view).statLetters
	}
	return psTime(keyword)
}

// psTime are the columns of times and shares of time.
func psTime(keyword string) func(*view, *proc) string {
	switch keyword {
	case "pcpu", "%cpu":
		return func(v *view, p *proc) string { return strconv.FormatFloat(v.share(p), 'f', 1, 64) }
	case "c":
		return func(v *view, p *proc) string { return strconv.Itoa(min(int(v.share(p)), 99)) }
	case "pmem", "%mem":
		return memoryShare
	case "time", "cputime":
		return func(_ *view, p *proc) string { return clock(ticks(p.ticks), true) }
	case "cputimes", "times":
		return func(_ *view, p *proc) string { return seconds(ticks(p.ticks)) }
	case "bsdtime":
		return func(_ *view, p *proc) string {
			total := int(ticks(p.ticks).Seconds())
			return fmt.Sprintf("%d:%02d", total/60, total%60)
		}
	case "etime":
		return func(v *view, p *proc) string { return clock(v.elapsed(p), false) }
	case "etimes":
		return func(v *view, p *proc) string { return seconds(v.elapsed(p)) }
	case "lstart":
		return func(v *view, p *proc) string { return v.started(p).Format(time.ANSIC) }
	case "start":
		return func(v *view, p *proc) string { return sinceStart(v, p, "15:04:05", "Jan 02") }
	case "stime", "start_time":
		return func(v *view, p *proc) string { return sinceStart(v, p, "15:04", "Jan02") }
	}
	return nil
}

func byDescriptor(name string) func(*view, *proc) string {
	for _, d := range descriptors() {
		if d.name == name {
			return d.value
		}
	}
	return nil
}

// resident is the memory in kB. A process without any, a zombie, has 0.
func (p *proc) resident() string {
	if rss := p.at("VmRSS", 0); rss != "" {
		return rss
	}
	return "0"
}

// statLetters are the state and what ps adds to it.
func (v *view) statLetters(p *proc) string {
	letters := p.state
	if nice, err := strconv.Atoi(p.nice); err == nil && nice != 0 {
		if nice < 0 {
			letters += "<"
		} else {
			letters += "N"
		}
	}
	if locked := p.at("VmLck", 0); locked != "" && locked != "0" {
		letters += "L"
	}
	if pid := p.at("NSpid", v.level); pid != "" && pid == p.at("NSsid", v.level) {
		letters += "s"
	}
	if threads := p.at("Threads", 0); threads != "" && threads != "1" {
		letters += "l"
	}
	return letters
}

// share is the part of a processor that a process had so far, in percent.
func (v *view) share(p *proc) float64 {
	elapsed := v.elapsed(p).Seconds()
	if elapsed == 0 {
		return 0
	}
	return 100 * ticks(p.ticks).Seconds() / elapsed
}

func (v *view) started(p *proc) time.Time { return v.now.Add(-v.elapsed(p)) }

func memoryShare(_ *view, p *proc) string {
	var s unix.Sysinfo_t
	rss, err := strconv.ParseFloat(p.resident(), 64)
	if err != nil || unix.Sysinfo(&s) != nil || s.Totalram == 0 {
		return "?"
	}
	return strconv.FormatFloat(100*rss*1024/(float64(s.Totalram)*float64(s.Unit)), 'f', 1, 64)
}

// clock is [DD-]HH:MM:SS; without hours, if they are not asked for, MM:SS.
func clock(d time.Duration, hours bool) string {
	total := int(d.Seconds())
	days, rest := total/86400, total%86400
	text := fmt.Sprintf("%02d:%02d", rest/60%60, rest%60)
	if hours || rest >= 3600 || days > 0 {
		text = fmt.Sprintf("%02d:", rest/3600) + text
	}
	if days > 0 {
		text = fmt.Sprintf("%d-", days) + text
	}
	return text
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// sinceStart is the time of the start today, or the day before that.
func sinceStart(v *view, p *proc, today, before string) string {
	at := v.started(p)
	switch {
	case v.now.Sub(at) < 24*time.Hour:
		return at.Format(today)
	case at.Year() == v.now.Year():
		return strings.TrimSpace(at.Format(before))
	}
	return at.Format("2006")
}
