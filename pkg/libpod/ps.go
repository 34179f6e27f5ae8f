package libpod

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	units "github.com/docker/go-units"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// PsOptions say which containers Ps lists, in which order, and what of them it
// looks up besides the record.
type PsOptions struct {
	// All lists containers that do not run, too.
	All bool
	// Last lists the newest so many containers, whatever they do; 0 is no bound.
	Last int
	// External adds containers of other tools in the same store.
	External bool
	Filters  []string
	// Sort is command, created (""), id, image, names, runningfor, size, status.
	Sort string
	// Size asks the store for sizes, Namespaces the kernel for namespaces.
	Size, Namespaces bool
}

// Timestamp is a moment that is seconds since 1970 in JSON.
type Timestamp struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, t.Unix(), 10), nil
}

// ListContainer is a container as ps lists it; its JSON keys are the field's.
type ListContainer struct {
	AutoRemove   bool
	Command      []string
	CreatedAt    string // "3 seconds ago"
	CIDFile      string
	Exited       bool
	ExitedAt     int64
	ExitCode     int
	ExposedPorts map[uint16][]string
	ID           string `json:"Id"`
	Image        string
	ImageID      string
	IsInfra      bool
	Labels       map[string]string
	Mounts       []string
	Names        []string
	Namespaces   ListNamespaces
	Networks     []string
	Pid          int
	Pod          string
	PodName      string
	Ports        []specgen.PortMapping
	Restarts     int
	Size         *ListSize
	StartedAt    int64
	State        Status
	Status       string // "Up 3 seconds"
	Created      Timestamp

	// ExitUnknown: nobody saw the exit code.
	ExitUnknown bool `json:"-"`
	// began and ended are StartedAt and ExitedAt, exactly.
	began, ended time.Time
}

// ListNamespaces are the namespaces of a container that runs, as the kernel
// numbers them.
type ListNamespaces struct {
	Cgroup string `json:"Cgroup,omitempty"`
	IPC    string `json:"Ipc,omitempty"`
	MNT    string `json:"Mnt,omitempty"`
	NET    string `json:"Net,omitempty"`
	PIDNS  string `json:"Pidns,omitempty"`
	UTS    string `json:"Uts,omitempty"`
	User   string `json:"User,omitempty"`
}

// ListSize is what a container takes on disk, in bytes.
type ListSize struct {
	RootFsSize int64 `json:"rootFsSize"`
	RwSize     int64 `json:"rwSize"`
}

// statusStorage is the status of a container that is not pod's.
const statusStorage Status = "storage"

// Ps lists containers as a reader: it takes no lock and writes nothing. The
// store of layers is opened for sizes and external containers only.
func (e *Engine) Ps(ctx context.Context, o PsOptions) ([]ListContainer, error) {
	order, err := psOrder(o.Sort)
	if err != nil {
		return nil, err
	}
	match, err := e.matcher(ctx, o.Filters)
	if err != nil {
		return nil, err
	}
	all := o.All || o.Last > 0 || slices.ContainsFunc(o.Filters, func(f string) bool { return strings.HasPrefix(f, "status") })
	read := e.state.Active // what has no run does not run
	if all {
		read = e.state.List
	}
	found, err := read(ctx)
	if err != nil {
		return nil, err
	}
	if len(o.Filters) > 0 {
		found = slices.DeleteFunc(found, func(c *state.Container) bool { return !match(c) })
	}
	if o.Last > 0 && o.Last < len(found) {
		found = found[len(found)-o.Last:]
	}
	now := time.Now()
	list := make([]ListContainer, 0, len(found))
	for _, c := range found {
		status := e.status(c)
		if !all && status != StatusRunning && status != StatusStopping {
			continue
		}
		list = append(list, e.listEntry(c, status, now))
	}
	if err := e.addPods(ctx, list, found); err != nil {
		return nil, err
	}
	if o.Namespaces {
		for i := range list {
			list[i].Namespaces = namespacesOf(list[i].Pid)
		}
	}
	if o.External {
		if list, err = e.addExternal(ctx, list, now); err != nil {
			return nil, err
		}
	}
	if o.Size {
		if err := e.addSizes(ctx, list); err != nil {
			return nil, err
		}
	}
	if order != nil {
		slices.SortStableFunc(list, order)
	}
	return list, nil
}

// psOrder returns the comparison of a --sort; nil keeps the order of creation.
func psOrder(key string) (func(a, b ListContainer) int, error) {
	switch key {
	case "", "created":
		return nil, nil //nolint:nilnil // the records come in this order
	case "command":
		return func(a, b ListContainer) int { return slices.Compare(a.Command, b.Command) }, nil
	case "id":
		return func(a, b ListContainer) int { return cmp.Compare(a.ID, b.ID) }, nil
	case "image":
		return func(a, b ListContainer) int { return cmp.Compare(a.Image, b.Image) }, nil
	case "names":
		return func(a, b ListContainer) int { return slices.Compare(a.Names, b.Names) }, nil
	case "runningfor":
		return func(a, b ListContainer) int { return cmp.Compare(a.StartedAt, b.StartedAt) }, nil
	case "size":
		return func(a, b ListContainer) int { return cmp.Compare(a.total(), b.total()) }, nil
	case "status":
		return func(a, b ListContainer) int { return cmp.Compare(a.State, b.State) }, nil
	}
	return nil, fmt.Errorf("invalid sort order %q: use command, created, id, image, names, runningfor, size or status", key)
}

func (l *ListContainer) total() int64 {
	if l.Size == nil {
		return 0
	}
	return l.Size.RwSize
}

// listEntry makes the entry of a record; it asks the kernel nothing.
func (e *Engine) listEntry(c *state.Container, status Status, now time.Time) ListContainer {
	l := ListContainer{
		AutoRemove: c.Spec.Remove, Command: commandLine(c), CIDFile: c.Spec.CIDFile, ID: c.ID,
		CreatedAt: units.HumanDuration(max(now.Sub(c.Created), 0)) + " ago", Created: Timestamp{c.Created.Local()},
		Image: c.ImageName, ImageID: c.ImageID, Labels: c.Spec.Labels, Names: []string{c.Name},
		Mounts: make([]string, 0, len(c.Spec.Storage.Mounts)), Networks: networkNames(c),
		Pod: c.Spec.Pod, IsInfra: c.Spec.IsInfra, Ports: publishedPorts(c), ExposedPorts: exposedPorts(c), Restarts: c.Restarts, State: status,
	}
	if c.Spec.Rootfs != "" {
		l.Image = c.Spec.Rootfs
	}
	for _, m := range c.Spec.Storage.Mounts {
		l.Mounts = append(l.Mounts, m.Destination)
	}
	last := c.Last
	if c.Run != nil && !c.Run.StartedAt.IsZero() {
		if status == StatusExited {
			last = e.readExit(c)
		} else {
			l.began = c.Run.StartedAt
		}
	}
	if c.Run != nil && isLive(status) {
		l.Pid = c.Run.Init.PID
	}
	if last != nil && !isLive(status) {
		l.Exited = status == StatusExited
		l.began, l.ended, l.ExitCode, l.ExitUnknown = last.StartedAt, last.FinishedAt, last.Code, last.Unknown
	}
	l.StartedAt, l.ExitedAt = l.began.Unix(), l.ended.Unix()
	l.Status = l.statusText(now)
	if known := e.healthStatus(c); known != "" {
		l.Status += " (" + string(known) + ")"
	}
	return l
}

// isLive says whether a container of this status has a process.
func isLive(s Status) bool {
	return s == StatusRunning || s == StatusPaused || s == StatusStopping || s == StatusInitialized
}

// statusText is the status as people read it.
func (l *ListContainer) statusText(now time.Time) string {
	since := func(t time.Time) string { return units.HumanDuration(max(now.Sub(t), 0)) }
	switch l.State {
	case StatusRunning:
		return "Up " + since(l.began)
	case StatusExited:
		code := strconv.Itoa(l.ExitCode)
		if l.ExitUnknown {
			code = "unknown"
		}
		if l.ended.IsZero() {
			return "Exited (" + code + ")" // the end was not recorded yet
		}
		return "Exited (" + code + ") " + since(l.ended) + " ago"
	}
	s := string(l.State)
	return strings.ToUpper(s[:1]) + s[1:]
}

// publishedPorts are the ports of the present run, with random host ports
// resolved, or those that were asked for.
func publishedPorts(c *state.Container) []specgen.PortMapping {
	if len(c.Spec.Network.Ports) == 0 {
		return nil
	}
	ports := c.Spec.Network.Ports
	if result, ok := NetworkOf(c); ok {
		ports = result.Ports
	}
	ports = slices.Clone(ports)
	for i := range ports {
		ports[i].Random = false // the record's matter
	}
	return ports
}

// exposedPorts are the ports that the image or the user exposes.
func exposedPorts(c *state.Container) map[uint16][]string {
	if len(c.Spec.Network.Expose) == 0 {
		return nil
	}
	exposed := map[uint16][]string{}
	for _, s := range c.Spec.Network.Expose {
		p, err := specgen.ParseExpose(s)
		if err != nil {
			continue // checked when the container was made
		}
		for i := range max(p.Range, 1) {
			exposed[p.ContainerPort+i] = append(exposed[p.ContainerPort+i], p.Protocol)
		}
	}
	return exposed
}

// namespacesOf asks the kernel for the namespaces of a process. What it does not
// tell stays empty.
func namespacesOf(pid int) ListNamespaces {
	if pid == 0 {
		return ListNamespaces{}
	}
	of := func(kind string) string {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			return ""
		}
		_, number, _ := strings.Cut(link, ":[")
		return strings.TrimSuffix(number, "]")
	}
	return ListNamespaces{
		Cgroup: of("cgroup"), IPC: of("ipc"), MNT: of("mnt"), NET: of("net"), PIDNS: of("pid"), UTS: of("uts"), User: of("user"),
	}
}

// addExternal adds the containers of the store that other tools made.
func (e *Engine) addExternal(ctx context.Context, list []ListContainer, now time.Time) ([]ListContainer, error) {
	store, err := e.Storage()
	if err != nil {
		return nil, err
	}
	others, err := e.foreign(ctx, store)
	if err != nil {
		return nil, err
	}
	for _, c := range others {
		l := ListContainer{
			ID: c.ID, ImageID: c.ImageID, Names: c.Names, Command: []string{string(statusStorage)}, State: statusStorage,
			Status: "Storage", Created: Timestamp{c.Created.Local()}, CreatedAt: units.HumanDuration(now.Sub(c.Created)) + " ago",
			Mounts: []string{}, Networks: []string{}, ExitedAt: time.Time{}.Unix(), StartedAt: time.Time{}.Unix(),
		}
		if img, err := store.Image(c.ImageID); err == nil && len(img.Names) > 0 {
			l.Image = img.Names[0]
		}
		list = append(list, l)
	}
	slices.SortStableFunc(list, func(a, b ListContainer) int { return a.Created.Compare(b.Created.Time) })
	return list, nil
}

// addSizes asks the store for the sizes. A container that is removed meanwhile
// has none.
func (e *Engine) addSizes(ctx context.Context, list []ListContainer) error {
	store, err := e.Storage()
	if err != nil {
		return err
	}
	images, err := store.ImageSizes(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		l := &list[i]
		l.Size = &ListSize{}
		if l.ImageID == "" && l.State != statusStorage {
			continue // --rootfs: it is not ours to measure
		}
		rw, err := store.Size(ctx, l.ID)
		if errors.Is(err, storage.ErrNoContainer) {
			continue
		}
		if err != nil {
			return err
		}
		*l.Size = ListSize{RwSize: rw, RootFsSize: rw + images[l.ImageID]}
	}
	return nil
}

// addPods names the pods of containers, and shows the ports of the network that a
// container shares. Nothing is asked if none is in a pod.
func (e *Engine) addPods(ctx context.Context, list []ListContainer, found []*state.Container) error {
	if !slices.ContainsFunc(list, func(l ListContainer) bool { return l.Pod != "" }) {
		return nil
	}
	all, err := e.state.Pods(ctx)
	if err != nil {
		return err
	}
	names := make(map[string]string, len(all))
	for _, p := range all {
		names[p.ID] = p.Name
	}
	byID := make(map[string]*state.Container, len(found))
	for _, c := range found {
		byID[c.ID] = c
	}
	for i := range list {
		l := &list[i]
		l.PodName = names[l.Pod]
		c := byID[l.ID]
		if c == nil || l.Pod == "" || l.IsInfra {
			continue
		}
		if infra, ok := strings.CutPrefix(c.Spec.Network.Mode, "container:"); ok {
			if byID[infra] == nil {
				if byID[infra], err = e.state.Get(ctx, infra); err != nil {
					continue // the pod is on its way out
				}
			}
			l.Ports = publishedPorts(byID[infra])
		}
	}
	return nil
}
