// Package settings reads pod's own configuration, pod.toml: what no file of the
// field has a place for. It is small, so it is strict: a key that pod does not
// know is an error that names file and line.
package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	units "github.com/docker/go-units"

	"github.com/rootless-pod/pod/internal/nearest"
	"github.com/rootless-pod/pod/internal/timeparse"
)

// System is the file of the machine's administrator.
const System = "/etc/pod/pod.toml"

// maxFile bounds a file of settings.
const maxFile = 1 << 20

// Settings are those of all files.
type Settings struct {
	GC      GC
	Network Network
}

// Network says how containers are connected.
type Network struct {
	// Shared puts containers of the default network that publish no port behind one
	// pasta; nil: from the second of those that stay.
	Shared *bool
}

// GC says what is removed after images were brought or built. A zero value of a
// limit is none.
type GC struct {
	// MaxSize bounds what images take, KeepFree what is left of the disk.
	MaxSize, KeepFree int64
	// UnusedFor is how long something may go unused; nil is for ever.
	UnusedFor *time.Duration
	// Tagged, Containers and Volumes let it touch images with names, containers
	// at rest and volumes that no container uses.
	Tagged, Containers, Volumes bool
}

// Active says whether there is anything to do.
func (g *GC) Active() bool { return g.MaxSize > 0 || g.KeepFree > 0 || g.UnusedFor != nil }

// file is what a file may hold.
type file struct {
	GC      section `toml:"gc"`
	Network struct {
		Shared *bool `toml:"shared"`
	} `toml:"network"`
}

type section struct {
	MaxSize    *string `toml:"max_size"`
	KeepFree   *string `toml:"keep_free"`
	UnusedFor  *string `toml:"unused_for"`
	Tagged     *bool   `toml:"tagged"`
	Containers *bool   `toml:"containers"`
	Volumes    *bool   `toml:"volumes"`
}

// known are the keys of a file, tables too.
func known() []string {
	return []string{"gc", "gc.max_size", "gc.keep_free", "gc.unused_for", "gc.tagged", "gc.containers", "gc.volumes", "network", "network.shared"}
}

// User is the path of the user's own file.
func User() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) { // as the specification of that variable says
		home := os.Getenv("HOME")
		if !filepath.IsAbs(home) {
			return "", errors.New("find pod.toml: neither XDG_CONFIG_HOME nor HOME is an absolute path")
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "pod", "pod.toml"), nil
}

// Load reads files, the settings of later ones over those of earlier ones. A file
// that is not there says nothing.
func Load(paths ...string) (Settings, error) {
	var s Settings
	for _, path := range paths {
		if err := s.read(path); err != nil {
			return Settings{}, err
		}
	}
	return s, nil
}

func (s *Settings) read(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && path == System {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("read settings %s: not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("read settings %s: %w", path, err)
	}
	if len(text) > maxFile {
		return fmt.Errorf("read settings %s: larger than 1 MiB", path)
	}
	return s.parse(path, text)
}

// parse lays what a file says over s.
func (s *Settings) parse(path string, text []byte) error {
	var in file
	meta, err := toml.NewDecoder(bytes.NewReader(text)).Decode(&in)
	if err != nil {
		var bad toml.ParseError
		if errors.As(err, &bad) {
			return fmt.Errorf("%s:%d: %s", path, max(bad.Position.Line, 1), plain(bad))
		}
		// A value of the wrong type has its place in the words only.
		if at := regexp.MustCompile(`^toml: line (\d+) \(last key "(.*)"\): (.*)`).FindStringSubmatch(err.Error()); at != nil {
			return fmt.Errorf("%s:%s: %s: %s", path, at[1], at[2], at[3])
		}
		return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "toml: "))
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		key := unknown[0].String()
		return fmt.Errorf("%s:%d: unknown key %q: did you mean %s?", path, lineOf(text, key), key, nearestKey(key))
	}
	if in.Network.Shared != nil {
		s.Network.Shared = in.Network.Shared
	}
	fail := func(key string, err error) error {
		return fmt.Errorf("%s:%d: %s: %w", path, lineOf(text, "gc."+key), key, err)
	}
	for key, to := range map[string]struct {
		from *string
		to   *int64
	}{"max_size": {in.GC.MaxSize, &s.GC.MaxSize}, "keep_free": {in.GC.KeepFree, &s.GC.KeepFree}} {
		if to.from == nil {
			continue
		}
		n, err := units.FromHumanSize(*to.from)
		if err != nil || n < 0 {
			return fail(key, fmt.Errorf("%q is no size: write a number and a unit, as in 20GB", *to.from))
		}
		*to.to = n
	}
	if in.GC.UnusedFor != nil {
		span, err := timeparse.Span(*in.GC.UnusedFor)
		if err != nil {
			return fail("unused_for", err)
		}
		s.GC.UnusedFor = &span
	}
	for _, b := range []struct {
		from *bool
		to   *bool
	}{{in.GC.Tagged, &s.GC.Tagged}, {in.GC.Containers, &s.GC.Containers}, {in.GC.Volumes, &s.GC.Volumes}} {
		if b.from != nil {
			*b.to = *b.from
		}
	}
	return nil
}

// plain is the message of a parse error without its position.
func plain(err toml.ParseError) string {
	text := err.Message
	if text == "" {
		text = strings.TrimPrefix(err.Error(), "toml: ")
	}
	if err.LastKey != "" {
		text = err.LastKey + ": " + text
	}
	return text
}

// lineOf finds the line of a key, which the parser does not tell. It knows the
// forms that people write: a table's header, and names with dots.
func lineOf(text []byte, key string) int {
	table, number := "", 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if header, ok := strings.CutPrefix(line, "["); ok {
			header, _, _ = strings.Cut(strings.TrimLeft(header, "["), "]")
			table = strings.TrimSpace(header)
			if table == key {
				return number
			}
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		name = strings.Trim(strings.TrimSpace(name), `"'`)
		if table != "" {
			name = table + "." + name
		}
		if name == key {
			return number
		}
	}
	return 1
}

// nearest is the known key that takes the fewest changes to come to.
func nearestKey(key string) string {
	return slices.MinFunc(known(), func(a, b string) int { return cmp.Compare(nearest.Distance(key, a), nearest.Distance(key, b)) })
}
