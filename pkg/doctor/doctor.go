// Package doctor looks at everything that pod needs of a host, one small check a
// thing, and says what is wrong, why, and what mends it. It must work where
// nothing else does: it opens no store and enters no namespace, it only tries. It
// changes nothing by itself; Mend runs the commands of a Fix that need no root,
// and Script writes those that do.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Status says how a check ended.
type Status string

const (
	// OK is as it should be.
	OK Status = "ok"
	// Warn means that pod works, but something is less than it could be.
	Warn Status = "warn"
	// Fail means that containers do not run, or not as asked for by default.
	Fail Status = "fail"
	// Skip is what is not needed here, or cannot be told.
	Skip Status = "skip"
)

// Result is what a check found.
type Result struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Found is the fact, in a few words.
	Found string `json:"found"`
	// Cause says why this is no good, Remedy what to do.
	Cause  string `json:"cause,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	// Fix is the remedy as commands, where there are such.
	Fix *Fix `json:"fix,omitempty"`
}

// Fix is a remedy as commands of a POSIX shell that may be run again without
// harm.
type Fix struct {
	// Root says that they need root.
	Root     bool     `json:"root"`
	Commands []string `json:"commands"`
}

// Check is one prerequisite.
type Check struct {
	// Name is what --check takes and what error messages name.
	Name string `json:"name"`
	// About says in a few words what is looked at.
	About string `json:"about"`

	run func(context.Context, *Host) Result
}

// checkTimeout bounds each check: a dead NFS server must not keep the others
// from being seen.
const checkTimeout = 3 * time.Second

// Checks lists the checks in the order in which they are shown.
func Checks() []Check {
	return slices.Concat(userChecks(), sessionChecks(), cgroupChecks(), deviceChecks(), programChecks(), storeChecks())
}

// Exists says whether there is a check of this name.
func Exists(name string) bool {
	return slices.ContainsFunc(Checks(), func(c Check) bool { return c.Name == name })
}

// Select returns the checks with these names; without names all.
func Select(names []string) ([]Check, error) {
	all := Checks()
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !Exists(name) {
			known := make([]string, 0, len(all))
			for _, c := range all {
				known = append(known, c.Name)
			}
			return nil, fmt.Errorf("unknown check %q: the checks are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(c Check) bool { return !slices.Contains(names, c.Name) }), nil
}

// Examine makes the checks, all at once, and returns their results in order.
func Examine(ctx context.Context, h *Host, checks []Check) []Result {
	results := make([]Result, len(checks))
	var group sync.WaitGroup
	for i, c := range checks {
		group.Go(func() { results[i] = examine(ctx, h, c) })
	}
	group.Wait()
	return results
}

// examine makes one check. One that hangs in the kernel is left there.
func examine(ctx context.Context, h *Host, c Check) Result {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	done := make(chan Result, 1)
	go func() { done <- c.run(ctx, h) }()
	var r Result
	select {
	case r = <-done:
	case <-ctx.Done():
		r = warn("no answer").because("it took more than %s", checkTimeout).
			mend("look for a file system or a program that hangs")
	}
	r.Name = c.Name
	return r
}

// Worst is the worst of the results: fail, warn or ok.
func Worst(results []Result) Status {
	worst := OK
	for _, r := range results {
		switch r.Status {
		case Fail:
			return Fail
		case Warn:
			worst = Warn
		}
	}
	return worst
}

func ok(format string, args ...any) Result {
	return Result{Status: OK, Found: fmt.Sprintf(format, args...)}
}

func skip(format string, args ...any) Result {
	return Result{Status: Skip, Found: fmt.Sprintf(format, args...)}
}

func (r Result) because(format string, args ...any) Result {
	r.Cause = fmt.Sprintf(format, args...)
	return r
}

func (r Result) mend(format string, args ...any) Result {
	r.Remedy = fmt.Sprintf(format, args...)
	return r
}

func (r Result) asRoot(commands ...string) Result {
	r.Fix = &Fix{Root: true, Commands: commands}
	if r.Remedy == "" {
		r.Remedy = "as root: " + strings.Join(commands, "; ")
	}
	return r
}

func (r Result) asUser(commands ...string) Result {
	r.Fix = &Fix{Commands: commands}
	if r.Remedy == "" {
		r.Remedy = strings.Join(commands, "; ")
	}
	return r
}

func warn(format string, args ...any) Result {
	return Result{Status: Warn, Found: fmt.Sprintf(format, args...)}
}

func fail(format string, args ...any) Result {
	return Result{Status: Fail, Found: fmt.Sprintf(format, args...)}
}
