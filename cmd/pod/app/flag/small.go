package flag

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/internal/timeparse"
)

// defaultDetachKeys is the field's sequence.
const defaultDetachKeys = "ctrl-p,ctrl-q"

// Latest adds --latest.
func Latest(fs *pflag.FlagSet, to *bool) {
	fs.BoolVarP(to, "latest", "l", false, "Act on the latest container pod is aware of")
}

// All adds --all with its shorthand, which may be empty.
func All(fs *pflag.FlagSet, to *bool, short, usage string) {
	fs.BoolVarP(to, "all", short, false, usage)
}

// Filter adds --filter with its shorthand, which may be empty.
func Filter(fs *pflag.FlagSet, to *[]string, short string) {
	fs.StringArrayVarP(to, "filter", short, nil, "Filter output based on conditions given")
}

// Time adds --time, the seconds between the stop signal and SIGKILL. The flag
// counts as unset, and to stays at 10, until the user gives it.
func Time(fs *pflag.FlagSet, to *int) {
	fs.IntVarP(to, "time", "t", 10, "Seconds to wait for stop before killing the container")
}

// CIDFile adds --cidfile, for commands that read container IDs from files.
func CIDFile(fs *pflag.FlagSet, to *[]string) {
	fs.StringArrayVar(to, "cidfile", nil, "Read the container ID from the file")
}

// DetachKeys adds --detach-keys.
func DetachKeys(fs *pflag.FlagSet, to *string) {
	fs.StringVar(to, "detach-keys", defaultDetachKeys, "Override the key sequence for detaching a container: `[a-Z]` or ctrl-VALUE, separated by commas")
}

// DiffFormat adds --format of the commands that compare; json is its only value.
func DiffFormat(fs *pflag.FlagSet, to *string) {
	parsed(fs, "format", "", "Change the output format: json", func(s string) error {
		if s != "json" && s != "" {
			return fmt.Errorf("%q: only json is known here", s)
		}
		*to = s
		return nil
	})
}

// Annotations adds --annotation; the function gives what was asked for.
func Annotations(fs *pflag.FlagSet, usage string) func() (map[string]string, error) {
	given := fs.StringArray("annotation", nil, usage)
	return func() (map[string]string, error) {
		out := map[string]string{}
		for _, word := range *given {
			key, value, ok := strings.Cut(word, "=")
			if !ok || key == "" {
				return nil, fmt.Errorf("expected --annotation %q to be in key=value format", word)
			}
			out[key] = value
		}
		return out, nil
	}
}

// PruneFilters checks the filters of a prune, and takes unused-for=SPAN out of
// them: label and until are left to others. Of several spans the shortest holds.
func PruneFilters(filters []string) (rest []string, unusedFor *time.Duration, err error) {
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		switch {
		case ok && (key == "label" || key == "label!" || key == "until"):
			rest = append(rest, f)
		case ok && key == "unused-for":
			span, err := timeparse.Span(value)
			if err != nil {
				return nil, nil, fmt.Errorf("filter unused-for: %w", err)
			}
			if unusedFor == nil || span < *unusedFor {
				unusedFor = &span
			}
		default:
			return nil, nil, fmt.Errorf("%q is an invalid filter: prune knows label=KEY[=VALUE], label!=…, until=TIME and unused-for=SPAN (as in 30d)", f)
		}
	}
	return rest, unusedFor, nil
}

// KeyValues reads words of the form KEY[=VALUE].
func KeyValues(flag string, words []string) (map[string]string, error) {
	out := map[string]string{}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		if key == "" {
			return nil, fmt.Errorf("--%s %q: it is KEY=VALUE", flag, word)
		}
		out[key] = value
	}
	return out, nil
}
