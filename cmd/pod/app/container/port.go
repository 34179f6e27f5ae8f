package container

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

type portOptions struct{ all, latest, source bool }

func newPort(a *cli.App) *cobra.Command {
	var opts portOptions
	cmd := &cobra.Command{
		Use: "port [options] CONTAINER [PORT]", Short: "List port mappings or a specific mapping for the container",
		Long:    "Shows where the ports of a container that runs are published on the host.",
		Example: "  pod port web\n  pod port web 80/tcp\n  pod port --all\n  pod port --source web",
	}
	flag.All(cmd.Flags(), &opts.all, "a", "Display port information for all containers")
	flag.Latest(cmd.Flags(), &opts.latest)
	cmd.Flags().BoolVar(&opts.source, "source", false, "Say for each port whether the container sees its clients' addresses")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runPort(cmd.Context(), a, &opts, args) }
	return cmd
}

func runPort(ctx context.Context, a *cli.App, opts *portOptions, args []string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	containers, port, err := opts.choose(ctx, e, args)
	if err != nil {
		return err
	}
	found := false
	for _, c := range containers {
		ports, err := e.Ports(ctx, c)
		if err != nil {
			return err
		}
		for _, p := range ports {
			inside := fmt.Sprintf("%d/%s", p.ContainerPort, p.Protocol)
			switch {
			case port != "" && port == inside:
				found = true
				fmt.Fprintln(a.Out, opts.text(p))
			case port == "" && opts.all:
				fmt.Fprintf(a.Out, "%s\t%s -> %s\n", output.ShortID(c.ID), inside, opts.text(p))
			case port == "":
				fmt.Fprintf(a.Out, "%s -> %s\n", inside, opts.text(p))
			}
		}
	}
	if port != "" && !found {
		return fmt.Errorf("failed to find published port %q: `pod port %s` lists those of a running container", port, containers[0].Name)
	}
	return nil
}

// choose reads the arguments: the containers, and the port if one is asked for.
func (o *portOptions) choose(ctx context.Context, e *libpod.Engine, args []string) ([]*state.Container, string, error) {
	switch {
	case o.all && o.latest:
		return nil, "", errors.New("--all and --latest cannot be used together")
	case o.all && len(args) > 0:
		return nil, "", errors.New("no additional arguments can be used with --all")
	case o.all:
		list, err := e.List(ctx, nil)
		return list, "", err
	}
	var c *state.Container
	var err error
	if o.latest {
		c, err = e.Latest(ctx)
	} else {
		if len(args) == 0 {
			return nil, "", errors.New("you must supply a running container name or id, or --all or --latest")
		}
		c, err = e.Lookup(ctx, args[0])
		args = args[1:]
	}
	if err != nil {
		return nil, "", err
	}
	if len(args) > 1 {
		return nil, "", errors.New("port accepts at most one container and one port")
	}
	port := ""
	if len(args) == 1 {
		if port, err = parsePort(args[0]); err != nil {
			return nil, "", err
		}
	}
	return []*state.Container{c}, port, nil
}

// parsePort reads PORT[/PROTO] and gives it the protocol it lacks.
func parsePort(s string) (string, error) {
	number, protocol, ok := strings.Cut(s, "/")
	if !ok {
		protocol = "tcp"
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || strings.Contains(protocol, "/") || protocol == "" {
		return "", fmt.Errorf("invalid port %q: write PORT or PORT/PROTOCOL, as 80/tcp", s)
	}
	return strconv.FormatUint(n, 10) + "/" + strings.ToLower(protocol), nil
}

// text is where a port is published.
func (o *portOptions) text(p libpod.Published) string {
	switch {
	case !o.source:
		return hostPort(p.PortMapping)
	case p.KeepsSource:
		return hostPort(p.PortMapping) + "\tsource kept"
	default:
		return hostPort(p.PortMapping) + "\tsource lost"
	}
}

func hostPort(p specgen.PortMapping) string {
	return hostAddress(p) + ":" + strconv.Itoa(int(p.HostPort))
}

// hostAddress is the address a port is published at, in brackets if it is IPv6.
func hostAddress(p specgen.PortMapping) string {
	switch host := p.HostIP; {
	case host == "":
		return "0.0.0.0"
	case strings.Contains(host, ":") && !strings.HasPrefix(host, "["):
		return "[" + host + "]"
	default:
		return host
	}
}
