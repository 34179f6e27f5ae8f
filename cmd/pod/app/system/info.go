package system

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/config"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/internal/version"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/rootless"
)

// info has podman's keys, so that scripts for either read both.
type info struct {
	Host       hostInfo       `json:"host"`
	Store      storeInfo      `json:"store"`
	Registries map[string]any `json:"registries"`
	Plugins    pluginInfo     `json:"plugins"`
	Version    version.Info   `json:"version"`
}

type storeInfo struct {
	ContainerStore     containerCounts   `json:"containerStore"`
	GraphDriverName    string            `json:"graphDriverName"`
	GraphOptions       map[string]string `json:"graphOptions"`
	GraphRoot          string            `json:"graphRoot"`
	GraphRootAllocated uint64            `json:"graphRootAllocated"`
	GraphRootUsed      uint64            `json:"graphRootUsed"`
	GraphStatus        map[string]string `json:"graphStatus"`
	ImageCopyTmpDir    string            `json:"imageCopyTmpDir"`
	ImageStore         imageCount        `json:"imageStore"`
	RunRoot            string            `json:"runRoot"`
	TransientStore     bool              `json:"transientStore"`
	VolumePath         string            `json:"volumePath"`
}

type containerCounts struct {
	Number  int `json:"number"`
	Paused  int `json:"paused"`
	Running int `json:"running"`
	Stopped int `json:"stopped"`
}

type imageCount struct {
	Number int `json:"number"`
}

type pluginInfo struct {
	Volume        []string `json:"volume"`
	Network       []string `json:"network"`
	Log           []string `json:"log"`
	Authorization []string `json:"authorization"`
}

func newInfo(a *cli.App) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "info [options]", Short: "Display system information",
		Long: "Display what pod finds on this host: its tools, its store, its configuration, and what is\n" +
			"reduced, with the remedy.",
		Example: "  pod info\n  pod info --format '{{.Store.GraphRoot}}'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runInfo(cmd.Context(), a, format) },
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "Change the output format to JSON or a Go template")
	cmd.Flags().BoolP("debug", "D", false, "")
	_ = cmd.Flags().MarkDeprecated("debug", "info always shows it")
	return cmd
}

func runInfo(ctx context.Context, a *cli.App, format string) error {
	i, err := gather(ctx, a)
	if err != nil {
		return err
	}
	if format != "" {
		return output.Value(a.Out, i, format)
	}
	text, err := yaml.Marshal(i)
	if err != nil {
		return fmt.Errorf("encode as YAML: %w", err)
	}
	_, err = a.Out.Write(text)
	return err
}

// gather asks the parts of pod and, beside them, the programs on the host.
func gather(ctx context.Context, a *cli.App) (*info, error) {
	conf, err := a.Config()
	if err != nil {
		return nil, err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	facts, err := e.Info(ctx)
	if err != nil {
		return nil, err
	}
	i := &info{Version: version.Get(), Plugins: pluginInfo{
		Volume: []string{"local"}, Network: []string{"bridge", "macvlan", "ipvlan", "none", "host", "pasta", "slirp4netns"},
		Log: []string{"k8s-file", "none", "journald"}, Authorization: []string{},
	}}
	var group errgroup.Group
	group.Go(func() error {
		i.Host = describeHost(conf, a.Session(), facts)
		tools(ctx, conf, facts, &i.Host)
		return nil
	})
	group.Go(func() error { return i.Store.gather(ctx, a, conf, facts) })
	group.Go(func() (err error) {
		i.Registries, err = registries()
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	log, err := a.Events()
	if err != nil {
		return nil, err
	}
	i.Host.EventLogger = log.Name()
	return i, nil
}

func (s *storeInfo) gather(ctx context.Context, a *cli.App, conf *config.Config, facts *libpod.Info) error {
	store, err := a.Storage(ctx)
	if err != nil {
		return err
	}
	s.GraphDriverName, s.GraphRoot, s.RunRoot = store.Driver(), store.Root(), store.RunRoot()
	s.GraphOptions = map[string]string{}
	for _, option := range store.DriverOptions() {
		key, value, _ := strings.Cut(option, "=")
		s.GraphOptions[key] = value
	}
	s.VolumePath = facts.VolumePath
	s.ContainerStore = containerCounts{Number: facts.Containers, Paused: facts.Paused, Running: facts.Running, Stopped: facts.Stopped}
	status, err := store.Status()
	if err != nil {
		return fmt.Errorf("ask the storage driver: %w", err)
	}
	s.GraphStatus = map[string]string{}
	for _, pair := range status {
		s.GraphStatus[pair[0]] = pair[1]
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(s.GraphRoot, &fs); err != nil {
		return fmt.Errorf("size of %s: %w", s.GraphRoot, err)
	}
	block := uint64(fs.Bsize) //nolint:gosec // never negative
	s.GraphRootAllocated, s.GraphRootUsed = fs.Blocks*block, (fs.Blocks-fs.Bfree)*block
	if s.ImageCopyTmpDir, err = conf.ImageCopyTmpDir(); err != nil {
		return fmt.Errorf("directory of temporary files: %w", err)
	}
	images, err := store.Images()
	if err != nil {
		return fmt.Errorf("count images: %w", err)
	}
	s.ImageStore.Number = len(images)
	return nil
}

// registries tells where short names are looked for, and what is configured for
// single registries.
func registries() (map[string]any, error) {
	all := map[string]any{}
	list, err := sysregistriesv2.GetRegistries(nil)
	if err != nil {
		return nil, fmt.Errorf("read registries.conf: %w", err)
	}
	for _, r := range list {
		all[r.Prefix] = r
	}
	search, err := sysregistriesv2.UnqualifiedSearchRegistries(nil)
	if err != nil {
		return nil, fmt.Errorf("read registries.conf: %w", err)
	}
	if len(search) > 0 {
		all["search"] = search
	}
	return all, nil
}

// mapping is a line of an id map in info's keys.
type mapping struct {
	ContainerID int `json:"container_id"`
	HostID      int `json:"host_id"`
	Size        int `json:"size"`
}

func mappings(list []rootless.Mapping) []mapping {
	out := make([]mapping, 0, len(list))
	for _, m := range list {
		out = append(out, mapping(m))
	}
	return out
}
