package system

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/internal/reserve"
	"github.com/rootless-pod/pod/pkg/diskuse"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

// shownWhy is how many rows people get; --format gets all.
const shownWhy = 20

// whyRow is a row of df --why.
type whyRow struct {
	Size, Type, What, HeldBy, Unused string
	Command, Frees                   string
	RawSize, RawFrees                int64
	LastUsed                         string `json:",omitempty"`
}

// why says what holds the room of the store, the biggest first.
func why(ctx context.Context, a *cli.App, format string) error {
	rows, err := explainDisk(ctx, a)
	if err != nil {
		return err
	}
	diskuse.Sort(rows)
	out := make([]whyRow, 0, len(rows))
	var total int64
	for _, r := range rows {
		total += r.Size
		w := whyRow{
			Size: output.SizeShort(r.Size), RawSize: r.Size, Type: r.Kind, What: r.What, HeldBy: r.HeldBy, Unused: "in use",
			Command: r.Command, Frees: output.SizeShort(r.Frees), RawFrees: r.Frees,
		}
		if !r.LastUsed.IsZero() {
			w.Unused, w.LastUsed = "for "+strings.ToLower(output.Duration(time.Since(r.LastUsed))), r.LastUsed.UTC().Format(time.RFC3339)
		}
		if r.Command == "" {
			w.Command, w.Frees = "-", "-"
		}
		out = append(out, w)
	}
	if format != "" {
		return output.List(a.Out, out, output.Options{Format: format})
	}
	more := len(out) - shownWhy
	if err := output.List(a.Out, out[:min(len(out), shownWhy)], output.Options{
		DefaultTable: "{{.Size}}\t{{.Type}}\t{{.What}}\t{{.HeldBy}}\t{{.Unused}}\t{{.Frees}}\t{{.Command}}",
		Headers:      map[string]string{"HeldBy": "HELD BY", "Command": "BY THIS COMMAND"},
	}); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(a.Out, "and %d smaller ones (--format json has all)\n", more)
	}
	return sumUp(ctx, a, total)
}

// sumUp is the last line: the store and the disk it lies on.
func sumUp(ctx context.Context, a *cli.App, total int64) error {
	store, err := a.Storage(ctx)
	if err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(store.Root(), &fs); err != nil {
		return fmt.Errorf("statfs %s: %w", store.Root(), err)
	}
	size := func(blocks uint64) string { return output.SizeShort(int64(blocks) * fs.Bsize) } //nolint:gosec // no disk is that large
	line := fmt.Sprintf("\n%s take %s; the disk has %s, of which %s are free", store.Root(), output.SizeShort(total), size(fs.Blocks), size(fs.Bavail))
	if fs.Files > 0 {
		line += fmt.Sprintf(", and %d of %d inodes", fs.Ffree, fs.Files)
	}
	fmt.Fprintln(a.Out, line)
	return nil
}

// explainDisk gathers all that takes room.
func explainDisk(ctx context.Context, a *cli.App) ([]diskuse.Row, error) {
	images, err := library.Images(ctx, a)
	if err != nil {
		return nil, err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	users, rows, err := explainContainers(ctx, e, images.Storage())
	if err != nil {
		return nil, err
	}
	held, layers, err := finalImages(ctx, images, users)
	if err != nil {
		return nil, err
	}
	rows = append(rows, diskuse.Images(held, layers)...)
	if n, size := diskuse.Unheld(held, layers); n > 0 {
		rows = append(rows, diskuse.Row{
			Kind: "left over", What: fmt.Sprintf("%d layers", n), HeldBy: "nothing: a pull or build that was cut off, or is under way",
			Size: size, Command: "pod system check --repair --max 0s", Frees: size, LastUsed: time.Now(),
		})
	}
	volumes, err := explainVolumes(ctx, e)
	if err != nil {
		return nil, err
	}
	rows = append(rows, volumes...)
	if dir := image.BuildCache(a.HostUID()); dir != "" {
		if size := libpod.DirSize(dir); size > 0 {
			rows = append(rows, diskuse.Row{
				Kind: "build cache", What: dir, HeldBy: "RUN --mount=type=cache", Size: size, Command: "pod image prune --build-cache", Frees: size,
				LastUsed: modified(dir),
			})
		}
	}
	if size := reserve.Size(images.Storage().Root()); size > 0 {
		rows = append(rows, diskuse.Row{Kind: "reserve", What: filepath.Join("pod", "reserve"), HeldBy: "rm, rmi, prune: given to them when the disk is full", Size: size})
	}
	return rows, nil
}

// finalImages are the images that are no mere step of others.
func finalImages(ctx context.Context, images *image.Store, users map[string][]diskuse.Container) ([]diskuse.Image, map[string]int64, error) {
	all, layers, err := images.Holdings(ctx)
	if err != nil {
		return nil, nil, err
	}
	var held []diskuse.Image
	for i := range all {
		h := &all[i]
		if len(h.Names) == 0 && !h.Dangling && len(h.Containers) == 0 {
			continue
		}
		held = append(held, diskuse.Image{ID: h.ID, Names: h.Names, LastUsed: h.LastUsed, Own: h.Own, Layers: h.Layers, Containers: users[h.ID]})
	}
	return held, layers, nil
}

// explainContainers makes a row of each container, pod's and others', and lists
// them by image.
func explainContainers(ctx context.Context, e *libpod.Engine, store *storage.Store) (map[string][]diskuse.Container, []diskuse.Row, error) {
	all, err := e.List(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	users := map[string][]diskuse.Container{}
	known := map[string]bool{}
	var rows []diskuse.Row
	for _, c := range all {
		known[c.ID] = true
		u := diskuse.Container{Name: c.Name, State: string(e.Status(c)), Live: live(e.Status(c))}
		u.Size = containerSize(ctx, store, c) + logSize(e, c)
		row := diskuse.Row{Kind: "container", What: c.Name, HeldBy: u.State, Size: u.Size, Command: "pod rm " + c.Name, Frees: u.Size}
		if u.Live {
			row.Command = "pod rm --force " + c.Name
		} else {
			row.LastUsed = libpod.LastActive(c)
		}
		users[c.ImageID] = append(users[c.ImageID], u)
		rows = append(rows, row)
	}
	builds, err := store.Builds(ctx)
	if err != nil {
		return nil, nil, err
	}
	building := map[string]bool{}
	for _, b := range builds {
		building[b.ID] = true
	}
	others, err := store.Containers(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range others {
		if known[c.ID] || c.Creator == storage.Creator {
			continue
		}
		name := append(c.Names, output.ShortID(c.ID))[0]
		u := diskuse.Container{Name: name, State: "podman's", Foreign: true}
		row := diskuse.Row{Kind: "container", What: name, HeldBy: "podman, or another tool on this store", LastUsed: c.Created, Command: "podman rm " + name}
		if building[c.ID] {
			u.State, row.HeldBy, row.Command = "of a build", "a build that is under way, or was cut off", "pod system prune --build"
		}
		if size, err := store.Size(ctx, c.ID); err == nil {
			u.Size, row.Size, row.Frees = size, size, size
		}
		users[c.ImageID] = append(users[c.ImageID], u)
		rows = append(rows, row)
	}
	return users, rows, nil
}

// logSize is what a container's log takes, and goes with the container.
func logSize(e *libpod.Engine, c *state.Container) int64 {
	if path := e.LogPath(c); path != "" && c.Spec.Log.Path == "" {
		return libpod.DirSize(path) + libpod.DirSize(path+".1")
	}
	return 0
}

func live(s libpod.Status) bool {
	switch s {
	case libpod.StatusCreated, libpod.StatusExited:
		return false
	}
	return true
}

// explainVolumes makes a row of each volume.
func explainVolumes(ctx context.Context, e *libpod.Engine) ([]diskuse.Row, error) {
	all, err := e.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	var rows []diskuse.Row
	for _, v := range all {
		users, err := e.VolumeUsers(ctx, v.Name)
		if err != nil {
			return nil, err
		}
		row := diskuse.Row{Kind: "volume", What: v.Name, HeldBy: "nothing", Size: e.VolumeSize(ctx, v), LastUsed: e.VolumeLastUsed(v)}
		row.Frees, row.Command = row.Size, "pod volume rm "+v.Name
		if len(users) > 0 {
			names, running := userNames(ctx, e, users)
			row.HeldBy = "container " + strings.Join(names, ", ")
			row.Command = "pod rm " + strings.Join(names, " ") + " && pod volume rm " + v.Name
			if running {
				row.LastUsed = time.Time{}
				row.Command = "pod rm --force" + strings.TrimPrefix(row.Command, "pod rm")
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func userNames(ctx context.Context, e *libpod.Engine, ids []string) (names []string, running bool) {
	for _, id := range ids {
		all, err := e.List(ctx, []string{"id=" + id})
		if err != nil || len(all) == 0 {
			continue // gone meanwhile
		}
		c := all[0]
		names, running = append(names, c.Name), running || live(e.Status(c))
	}
	return names, running
}

func modified(path string) time.Time {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return time.Time{}
	}
	return time.Unix(st.Mtim.Unix())
}
