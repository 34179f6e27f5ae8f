package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.podman.io/common/libnetwork/types"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/specgen"
)

type createOptions struct {
	driver, device, ipam         string
	dns, labels, options         []string
	subnets, ranges, routes      []string
	gateways                     []net.IP
	noDNS, ignore, internal, six bool
}

func newCreate(a *cli.App) *cobra.Command {
	opts := &createOptions{}
	cmd := &cobra.Command{
		Use: "create [options] [NAME]", Short: "Create networks for containers and pods",
		Long: "Create a network and print its name. Without --subnet it gets a free one; containers on it find each other by\n" +
			"name. Networks whose isolate option is set do not reach each other.",
		Example: "  pod network create web\n  pod network create --subnet 10.5.0.0/24 --ipv6 --opt isolate=true back\n" +
			"  pod network create --internal db",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runCreate(cmd.Context(), a, opts, args) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&opts.driver, "driver", "d", types.DefaultNetworkDriver, "driver to manage the network")
	fs.StringArrayVarP(&opts.options, "opt", "o", nil, "Set driver specific options: mtu, vlan, isolate, metric, mode, no_default_route, parent, vrf")
	fs.IPSliceVar(&opts.gateways, "gateway", nil, "IPv4 or IPv6 gateway for the subnet")
	fs.BoolVar(&opts.internal, "internal", false, "restrict external access from this network")
	fs.StringArrayVar(&opts.ranges, "ip-range", nil, "allocate container IP from range")
	fs.StringVar(&opts.ipam, "ipam-driver", "", "IP Address Management Driver: host-local, dhcp or none")
	fs.StringArrayVar(&opts.labels, "label", nil, "set metadata on a network")
	fs.BoolVar(&opts.six, "ipv6", false, "enable IPv6 networking")
	fs.StringArrayVar(&opts.subnets, "subnet", nil, "subnets in CIDR format")
	fs.StringArrayVar(&opts.routes, "route", nil, "static routes: DESTINATION,GATEWAY[,METRIC]")
	fs.StringVar(&opts.device, "interface-name", "", "interface name which is used by the driver")
	fs.BoolVar(&opts.noDNS, "disable-dns", false, "disable dns plugin")
	fs.StringSliceVar(&opts.dns, "dns", nil, "DNS servers this network will use")
	fs.BoolVar(&opts.ignore, "ignore", false, "Don't fail if network already exists")
	return cmd
}

func runCreate(ctx context.Context, a *cli.App, opts *createOptions, args []string) error {
	n, err := opts.network()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		if n.Name = args[0]; n.Name == "" {
			return errors.New("network name is empty: leave it out to get one")
		}
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	made, err := e.Networks().Create(*n, opts.ignore)
	if err != nil {
		return err
	}
	e.NetworkMade(ctx, events.Create, made)
	fmt.Fprintln(a.Out, made.Name)
	return nil
}

// network makes the description out of the flags.
func (o *createOptions) network() (*types.Network, error) {
	n := &types.Network{
		Driver: o.driver, NetworkInterface: o.device, Internal: o.internal, IPv6Enabled: o.six, DNSEnabled: !o.noDNS, NetworkDNSServers: o.dns,
		Labels: map[string]string{}, Options: map[string]string{}, IPAMOptions: map[string]string{},
	}
	if o.ipam != "" {
		n.IPAMOptions[types.Driver] = o.ipam
	}
	for _, l := range o.labels {
		name, value, err := specgen.ParseLabel(l)
		if err != nil {
			return nil, fmt.Errorf("failed to parse labels: %w", err)
		}
		n.Labels[name] = value
	}
	if err := o.driverOptions(n); err != nil {
		return nil, err
	}
	if err := o.addSubnets(n); err != nil {
		return nil, err
	}
	for _, r := range o.routes {
		route, err := parseRoute(r)
		if err != nil {
			return nil, err
		}
		n.Routes = append(n.Routes, route)
	}
	return n, nil
}

// driverOptions reads --opt; some are no options but parts of the network, and
// some have docker's names.
func (o *createOptions) driverOptions(n *types.Network) error {
	for _, opt := range o.options {
		name, value, ok := strings.Cut(opt, "=")
		if !ok || name == "" {
			return fmt.Errorf("invalid option %q: write NAME=VALUE", opt)
		}
		switch name {
		case "com.docker.network.driver.mtu":
			name = types.MTUOption
		case "com.docker.network.bridge.name", "parent":
			if name == "parent" && n.Driver == types.BridgeNetworkDriver {
				break
			}
			if n.NetworkInterface != "" && n.NetworkInterface != value {
				return fmt.Errorf("option %s and --interface-name name different interfaces", name)
			}
			n.NetworkInterface = value
			continue
		}
		n.Options[name] = value
	}
	return nil
}

// addSubnets pairs subnets with gateways and ranges, in their order, each with
// the subnet that contains it.
func (o *createOptions) addSubnets(n *types.Network) error {
	if len(o.subnets) == 0 && (len(o.gateways) > 0 || len(o.ranges) > 0) {
		return errors.New("cannot set gateway or range without subnet")
	}
	if len(o.subnets) < len(o.gateways) || len(o.subnets) < len(o.ranges) {
		return errors.New("cannot set more gateways or ranges than subnets")
	}
	for i, text := range o.subnets {
		p, err := types.ParseCIDR(text)
		if err != nil {
			return fmt.Errorf("subnet %q: %w", text, err)
		}
		s := types.Subnet{Subnet: p}
		if i < len(o.gateways) {
			s.Gateway = o.gateways[i]
		}
		if i < len(o.ranges) {
			if s.LeaseRange, err = parseRange(o.ranges[i]); err != nil {
				return err
			}
		}
		n.Subnets = append(n.Subnets, s)
	}
	return nil
}

// parseRange reads FIRST-LAST or a prefix.
func parseRange(s string) (*types.LeaseRange, error) {
	if first, last, ok := strings.Cut(s, "-"); ok {
		a, errA := netip.ParseAddr(first)
		b, errB := netip.ParseAddr(last)
		if errA != nil || errB != nil || a.Compare(b) > 0 {
			return nil, fmt.Errorf("ip range %q: write FIRST-LAST or a subnet", s)
		}
		return &types.LeaseRange{StartIP: a.AsSlice(), EndIP: b.AsSlice()}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return nil, fmt.Errorf("ip range %q: write FIRST-LAST or a subnet", s)
	}
	start := p.Masked().Addr()
	end := slices.Clone(start.AsSlice())
	for i := p.Bits(); i < start.BitLen(); i++ {
		end[i/8] |= 0x80 >> (i % 8)
	}
	if !p.IsSingleIP() {
		start = start.Next()
	}
	return &types.LeaseRange{StartIP: start.AsSlice(), EndIP: end}, nil
}

func parseRoute(s string) (types.Route, error) {
	wrong := fmt.Errorf("invalid route: %s: write --route DESTINATION,GATEWAY[,METRIC], the destination in CIDR notation", s)
	parts := strings.Split(s, ",")
	if len(parts) < 2 || len(parts) > 3 {
		return types.Route{}, wrong
	}
	destination, err := types.ParseCIDR(parts[0])
	if err != nil {
		return types.Route{}, wrong
	}
	r := types.Route{Destination: destination, Gateway: net.ParseIP(parts[1])}
	if r.Gateway == nil {
		return r, wrong
	}
	if len(parts) == 3 {
		metric, err := strconv.ParseUint(parts[2], 10, 32)
		if err != nil {
			return r, wrong
		}
		m := uint32(metric)
		r.Metric = &m
	}
	return r, nil
}
