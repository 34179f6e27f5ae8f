package system

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

type dfOptions struct {
	format       string
	verbose, why bool
}

func newDf(a *cli.App) *cobra.Command {
	o := dfOptions{}
	cmd := &cobra.Command{
		Use: "df [options]", Short: "Show disk usage", Long: "Show what images, containers and volumes take of the disk, and how much of it could be freed; on a terminal with bars.",
		Example: "  pod system df\n  pod system df --verbose\n  pod system df --why",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDf(cmd.Context(), a, o) },
	}
	cmd.Flags().StringVar(&o.format, "format", "", "Pretty-print disk usage as JSON or with a Go template")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "Show detailed information on disk usage")
	cmd.Flags().BoolVar(&o.why, "why", false, "Show what takes the most, what holds it, since when it was not used, and which command frees how much")
	return cmd
}

// usage is a line of df.
type usage struct {
	Type           string
	Total, Active  int
	RawSize        int64
	RawReclaimable int64
	TotalCount     int
	Size           string
	Reclaimable    string
}

func (u *usage) finish() {
	percent := 0
	if u.RawSize > 0 {
		percent = int(100 * u.RawReclaimable / u.RawSize)
	}
	u.TotalCount = u.Total
	u.Size = output.SizeShort(u.RawSize)
	u.Reclaimable = fmt.Sprintf("%s (%d%%)", output.SizeShort(u.RawReclaimable), percent)
}

// imageUsage, containerUsage and volumeUsage are the lines of df --verbose.
type imageUsage struct {
	Repository, Tag, ImageID     string
	Created                      string
	Size, SharedSize, UniqueSize string
	Containers                   int
}

type containerUsage struct {
	ContainerID, Image, Command  string
	LocalVolumes                 int
	Size, Created, Status, Names string
}

type volumeUsage struct {
	VolumeName string
	Links      int
	Size       string
}

// disk is all that df tells.
type disk struct {
	total      []usage
	images     []imageUsage
	containers []containerUsage
	volumes    []volumeUsage
}

func runDf(ctx context.Context, a *cli.App, o dfOptions) error {
	if o.verbose && o.format != "" {
		return fmt.Errorf("--verbose and --format exclude each other")
	}
	if o.verbose && o.why {
		return fmt.Errorf("--verbose and --why exclude each other")
	}
	if o.why {
		return why(ctx, a, o.format)
	}
	var d disk
	for _, add := range []func(context.Context, *cli.App) error{d.addImages, d.addContainers, d.addVolumes} {
		if err := add(ctx, a); err != nil {
			return err
		}
	}
	if !o.verbose && o.format == "" && view.CanDraw(a.Out) {
		return showBars(a, d.total)
	}
	if !o.verbose {
		return output.List(a.Out, d.total, output.Options{
			Format: o.format, DefaultTable: "{{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
		})
	}
	fmt.Fprint(a.Out, "Images space usage:\n\n")
	if err := output.List(a.Out, d.images, output.Options{
		DefaultTable: "{{.Repository}}\t{{.Tag}}\t{{.ImageID}}\t{{.Created}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
	}); err != nil {
		return err
	}
	fmt.Fprint(a.Out, "\nContainers space usage:\n\n")
	if err := output.List(a.Out, d.containers, output.Options{
		DefaultTable: "{{.ContainerID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.Created}}\t{{.Status}}\t{{.Names}}",
	}); err != nil {
		return err
	}
	fmt.Fprint(a.Out, "\nLocal Volumes space usage:\n\n")
	return output.List(a.Out, d.volumes, output.Options{DefaultTable: "{{.VolumeName}}\t{{.Links}}\t{{.Size}}"})
}

// showBars prints the table with a bar a line: what is in use, and what could be
// freed, to one scale.
func showBars(a *cli.App, total []usage) error {
	var table bytes.Buffer
	bars := make([]view.Bar, len(total))
	rows := make([][]string, len(total))
	for i, u := range total {
		rows[i] = []string{u.Type, strconv.Itoa(u.Total), strconv.Itoa(u.Active), u.Size, u.Reclaimable}
		bars[i] = view.Bar{Used: float64(max(u.RawSize-u.RawReclaimable, 0)), Free: float64(u.RawReclaimable)}
	}
	if err := output.Rows(&table, []string{"TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"}, rows); err != nil {
		return err
	}
	return view.BesideTable(a.Out, table.String(), bars)
}

func (d *disk) addImages(ctx context.Context, a *cli.App) error {
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	list, err := images.DiskUsage(ctx)
	if err != nil {
		return err
	}
	u := usage{Type: "Images"}
	if u.RawSize, u.RawReclaimable, err = imageTotals(ctx, images); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, i := range list {
		d.images = append(d.images, imageUsage{
			Repository: i.Repository, Tag: i.Tag, ImageID: output.ShortID(i.ID), Created: output.Duration(time.Since(i.Created)),
			Size: output.SizeShort(i.Size), SharedSize: output.SizeShort(i.Shared), UniqueSize: output.SizeShort(i.Unique), Containers: i.Containers,
		})
		if seen[i.ID] {
			continue // one image with several names
		}
		seen[i.ID] = true
		u.Total++
		if i.Containers > 0 {
			u.Active++
		}
	}
	u.finish()
	d.total = append(d.total, u)
	return nil
}

// imageTotals is what images take, layers counted once, and what of it comes free
// when those without containers go.
func imageTotals(ctx context.Context, images *image.Store) (size, free int64, err error) {
	all, layers, err := images.Holdings(ctx)
	if err != nil {
		return 0, 0, err
	}
	needed := map[string]bool{}
	for i := range all {
		size += all[i].Own
		if len(all[i].Containers) == 0 {
			free += all[i].Own
			continue
		}
		for _, layer := range all[i].Layers {
			needed[layer] = true
		}
	}
	for layer, bytes := range layers {
		size += bytes
		if !needed[layer] {
			free += bytes
		}
	}
	return size, free, nil
}

func (d *disk) addContainers(ctx context.Context, a *cli.App) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	store, err := a.Storage(ctx)
	if err != nil {
		return err
	}
	all, err := e.List(ctx, nil)
	if err != nil {
		return err
	}
	u := usage{Type: "Containers", Total: len(all)}
	for _, c := range all {
		size := containerSize(ctx, store, c)
		status := e.Status(c)
		u.RawSize += size
		switch status {
		case libpod.StatusRunning, libpod.StatusPaused, libpod.StatusStopping:
			u.Active++
		default:
			u.RawReclaimable += size
		}
		d.containers = append(d.containers, containerUsage{
			ContainerID: output.ShortID(c.ID), Image: c.ImageName, Command: strings.Join(append(append([]string{}, c.Spec.Process.Entrypoint...), c.Spec.Process.Command...), " "),
			LocalVolumes: localVolumes(c), Size: output.SizeShort(size), Created: output.Duration(time.Since(c.Created)),
			Status: string(status), Names: c.Name,
		})
	}
	u.finish()
	d.total = append(d.total, u)
	return nil
}

// containerSize is what the container wrote. One without a layer, or that is
// being removed meanwhile, has written nothing.
func containerSize(ctx context.Context, store *storage.Store, c *state.Container) int64 {
	size, err := store.Size(ctx, c.ID)
	if err != nil {
		return 0
	}
	return size
}

func localVolumes(c *state.Container) int {
	n := 0
	for _, m := range c.Spec.Storage.Mounts {
		if m.Type == "volume" {
			n++
		}
	}
	return n
}

func (d *disk) addVolumes(ctx context.Context, a *cli.App) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	all, err := e.Volumes(ctx)
	if err != nil {
		return err
	}
	u := usage{Type: "Local Volumes", Total: len(all)}
	for _, v := range all {
		users, err := e.VolumeUsers(ctx, v.Name)
		if err != nil {
			return err
		}
		size := e.VolumeSize(ctx, v)
		u.RawSize += size
		if len(users) > 0 {
			u.Active++
		} else {
			u.RawReclaimable += size
		}
		d.volumes = append(d.volumes, volumeUsage{VolumeName: v.Name, Links: len(users), Size: output.SizeShort(size)})
	}
	u.finish()
	d.total = append(d.total, u)
	return nil
}
