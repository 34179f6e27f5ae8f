package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rootless-pod/pod/pkg/filecopy"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
	"github.com/rootless-pod/pod/pkg/why"
)

// WhyOptions say which access is asked about.
type WhyOptions struct {
	// User is as in exec; empty is the container's.
	User   string
	Path   string
	Access why.Access
}

// WhyAnswer is the explanation of an access.
type WhyAnswer struct {
	why.Answer
	// Container is its name, Path absolute.
	Container, Path string
	Subject         why.Subject
	// HostUID and HostGID are those of the process on the host, -1 if unmapped.
	HostUID, HostGID int
	// Files says how the files of the image got the ids of the container's own user
	// namespace; empty if it has none.
	Files string
}

// Why explains whether a process of a container may reach a path. A container
// that runs is seen with its mounts; another is mounted, and its volumes and
// binds are looked up where they are. Nothing in it is changed or executed.
func (e *Engine) Why(ctx context.Context, name string, opts WhyOptions) (_ *WhyAnswer, err error) {
	c, err := e.state.Lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	root, leave, err := e.openForWhy(ctx, c.ID, &c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	t, err := e.whyTree(ctx, c)
	if err != nil {
		return nil, err
	}
	t.Root = root
	answer := &WhyAnswer{Container: c.Name, Path: filepath.Clean(opts.Path)}
	if !filepath.IsAbs(opts.Path) {
		answer.Path = filepath.Join("/", c.Spec.Process.WorkDir, opts.Path)
	}
	walked := answer.Path
	if strings.HasSuffix(opts.Path, "/") {
		walked += "/." // a directory is meant
	}
	if err := e.whySubject(c, t, opts.User, answer); err != nil {
		return nil, err
	}
	explained, err := why.Explain(t, walked, &answer.Subject, opts.Access)
	if err != nil {
		return nil, fmt.Errorf("walk in container %s: %w", c.Name, err)
	}
	answer.Answer = *explained
	answer.Files, err = e.mapWay(c, t)
	return answer, err
}

// openForWhy opens the root of a container; c becomes its record as it is then.
func (e *Engine) openForWhy(ctx context.Context, id string, c **state.Container) (*os.File, func() error, error) {
	if !isUp(e.status(*c)) {
		locked, lock, err := e.lockContainer(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		*c = locked
		switch status := e.status(locked); {
		case isUp(status):
			e.unlock(lock)
		case status != StatusCreated && status != StatusExited:
			e.unlock(lock)
			return nil, nil, improper("look into", locked.ID, locked.Name, status, "wait")
		default:
			root, leave, err := e.mountForWhy(ctx, locked)
			if err != nil {
				e.unlock(lock)
				return nil, nil, err
			}
			return root, func() error {
				defer e.unlock(lock)
				return leave()
			}, nil
		}
	}
	init := (*c).Run.Init
	f, err := openRoot(ctx, init)
	if !init.Alive() { // asked last: the pid may have become another's
		return nil, nil, improper("look into", id, (*c).Name, StatusExited, "it ended just now, try again")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the root of container %s: %w", (*c).Name, err)
	}
	return f, f.Close, nil
}

func (e *Engine) mountForWhy(ctx context.Context, c *state.Container) (*os.File, func() error, error) {
	if !c.Spec.Layered() {
		f, err := filecopy.OpenDir(e.rootfsOf(c))
		if err != nil {
			return nil, nil, err
		}
		return f, f.Close, nil
	}
	store, err := e.Storage()
	if err != nil {
		return nil, nil, err
	}
	path, err := store.Mount(ctx, c.ID)
	if err != nil {
		return nil, nil, err
	}
	unmount := func() error {
		_, err := store.Unmount(context.WithoutCancel(ctx), c.ID, false)
		return err
	}
	f, err := filecopy.OpenDir(path)
	if err != nil {
		return nil, nil, errors.Join(err, unmount())
	}
	return f, func() error { return errors.Join(f.Close(), unmount()) }, nil
}

// whyTree gathers what is known of a container's mounts and ids.
func (e *Engine) whyTree(ctx context.Context, c *state.Container) (*why.Tree, error) {
	maps, err := e.mapsOf(ctx, c)
	if err != nil {
		return nil, err
	}
	t := &why.Tree{
		Running: isUp(e.status(c)), ReadOnly: c.Spec.Security.ReadOnly, Rootless: e.Session.Rootless,
		UserUID: uint32(e.Session.HostUID), UserGID: uint32(e.Session.HostGID),
		Maps: why.Maps{
			UID: maps.uid, GID: maps.gid,
			HostUID: func(id uint32) int { return hostID(e.Session.UIDMap, id) },
			HostGID: func(id uint32) int { return hostID(e.Session.GIDMap, id) },
		},
	}
	if e.Session.Rootless {
		t.Maps.Overflow = overflowID()
	}
	for _, m := range c.Spec.Storage.Mounts {
		t.Mounts = append(t.Mounts, e.whyMount(c, m))
	}
	return t, nil
}

// mapWay says how the store gives files of images the ids of a container.
func (e *Engine) mapWay(c *state.Container, t *why.Tree) (string, error) {
	if c.ImageID == "" || len(t.Maps.UID)+len(t.Maps.GID) == 0 {
		return "", nil
	}
	store, err := e.Storage()
	if err != nil {
		return "", err
	}
	way, err := store.MapWay()
	if err != nil {
		return "", err
	}
	return map[storage.MapWay]string{
		storage.MapByKernel:  "shown by the kernel with the container's ids (idmapped mounts): nothing is copied",
		storage.MapByReflink: "copied once for the container's ids; copies share their data with the image (reflinks)",
		storage.MapByCopy:    "copied once for the container's ids: where the store is, files can neither be mapped by a user nor share data",
		storage.MapByLibrary: "copied for the container by the driver of the store",
	}[way], nil
}

func (e *Engine) whyMount(c *state.Container, m specgen.Mount) why.Mount {
	out := why.Mount{
		Type: m.Type, Source: m.Source, Destination: filepath.Clean("/" + m.Destination),
		Options: m.Options, ReadOnly: m.ReadOnly(),
	}
	switch m.Type {
	case "volume":
		out.Dir = e.volumeDir(m.Source)
	case "bind":
		out.Dir = m.Source
		out.NoChown = moreThanAContainers(m.Source, os.Getenv("HOME"))
	}
	if m.SubPath != "" && out.Dir != "" && !isUp(e.status(c)) {
		out.Dir = filepath.Join(out.Dir, filepath.Clean("/"+m.SubPath))
	}
	return out
}

// moreThanAContainers says of a directory that giving it away as a whole would
// do harm: a home, the system's directories, and what they are in.
func moreThanAContainers(path, home string) bool {
	path = filepath.Clean(path)
	if home != "" && (path == filepath.Clean(home) || strings.HasPrefix(filepath.Clean(home), path+"/")) {
		return true
	}
	return path == "/" || filepath.Dir(path) == "/" || slices.ContainsFunc([]string{"/etc/", "/usr/", "/dev/", "/proc/", "/sys/", "/boot/"},
		func(top string) bool { return strings.HasPrefix(path, top) })
}

// whySubject finds out who asks.
func (e *Engine) whySubject(c *state.Container, t *why.Tree, user string, answer *WhyAnswer) error {
	spec := readBundle(e.paths.container(c.ID))
	if !t.Running || spec == nil {
		spec = e.restingSpec(c)
	}
	groups := namedGroups(c.Spec.Process.Groups)
	name := c.Spec.Process.User
	if user != "" {
		name, groups = user, nil
	}
	who, err := resolveUser(fmt.Sprintf("/proc/self/fd/%d", t.Root.Fd()), name, groups)
	if err != nil {
		return err
	}
	s := &answer.Subject
	s.UID, s.GID, s.Groups, s.Label = who.uid, who.gid, who.groups, spec.Process.SelinuxLabel
	s.KeepGroups = user == "" && slices.Contains(c.Spec.Process.Groups, "keep-groups")
	if caps := spec.Process.Capabilities; caps != nil {
		have := caps.Effective
		if user != "" || s.UID == 0 {
			have = nil
			if s.UID == 0 {
				have = caps.Bounding
			}
		}
		s.Override, s.Search = slices.Contains(have, "CAP_DAC_OVERRIDE"), slices.Contains(have, "CAP_DAC_READ_SEARCH")
		t.RootOverride = slices.Contains(caps.Bounding, "CAP_DAC_OVERRIDE")
	}
	answer.HostUID, answer.HostGID = -1, -1
	if id, err := filecopy.Outer(t.Maps.UID, s.UID); err == nil {
		answer.HostUID = t.Maps.HostUID(id)
	}
	if id, err := filecopy.Outer(t.Maps.GID, s.GID); err == nil {
		answer.HostGID = t.Maps.HostGID(id)
	}
	return nil
}

// hostID translates an id of pod's namespace to the host's, -1 if none is.
func hostID(maps []rootless.Mapping, id uint32) int {
	for _, m := range maps {
		if int(id) >= m.ContainerID && int(id) < m.ContainerID+m.Size {
			return m.HostID + int(id) - m.ContainerID
		}
	}
	return -1
}

// overflowID is what an id without a mapping looks like.
func overflowID() uint32 {
	const usual = 65534
	data, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil {
		return usual
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 32)
	if err != nil {
		return usual
	}
	return uint32(n)
}
