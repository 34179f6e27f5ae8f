// Package netavark runs netavark, which connects a network namespace to networks
// and takes it off them again. It speaks to versions 1.x, where networks are a
// map, and 2.x, where they are a list; the library speaks the latter only.
package netavark

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"go.podman.io/common/libnetwork/types"
)

// The firewalls that a caller names; netavark knows others.
const (
	// Chosen leaves the choice to netavark.
	Chosen = ""
	// None writes no rules.
	None = "none"
)

// ErrNoFirewall says that this netavark does not know the firewall it was given.
var ErrNoFirewall = errors.New("netavark does not know this firewall")

// Tool is an installed netavark.
type Tool struct {
	// Path of the program.
	Path    string
	Version Version
	// Aardvark is the path of aardvark-dns that netavark is to start; empty: none.
	Aardvark string
	// Dir is where netavark keeps what it must remember.
	Dir string
	// Rootless: in a user's namespace.
	Rootless bool
	// Firewall is one of the constants, or containers.conf's firewall_driver.
	Firewall string
	// DNSPort is containers.conf's dns_bind_port.
	DNSPort uint16
	// Plugins are containers.conf's netavark_plugin_dirs.
	Plugins []string
}

// Request connects one container.
type Request struct {
	ID, Name, Hostname string
	Ports              []types.PortMapping
	DNSServers         []string
	// Networks and what the container has on each, in the same order.
	Networks []types.Network
	Options  []types.PerNetworkOptions
}

// Setup connects the namespace at netns. The caller is in the namespace that
// holds the bridges.
func (t Tool) Setup(ctx context.Context, netns string, r Request) (map[string]types.StatusBlock, error) {
	out, err := t.run(ctx, "setup", netns, r)
	if err != nil {
		return nil, err
	}
	status := map[string]types.StatusBlock{}
	if err := json.Unmarshal(out, &status); err != nil {
		return nil, fmt.Errorf("netavark: read its answer: %w", err)
	}
	return status, nil
}

// Teardown takes it off the networks again.
func (t Tool) Teardown(ctx context.Context, netns string, r Request) error {
	_, err := t.run(ctx, "teardown", netns, r)
	return err
}

// run runs one command of netavark.
func (t Tool) run(ctx context.Context, verb, netns string, r Request) ([]byte, error) {
	if t.Path == "" {
		return nil, errors.New("netavark is not installed: install the package netavark (pod doctor --check netavark explains)")
	}
	request, err := r.encode(t.Version)
	if err != nil {
		return nil, err
	}
	args := []string{"--config", t.Dir, "--rootless", strconv.FormatBool(t.Rootless)}
	if t.Aardvark != "" {
		args = append(args, "--aardvark-binary", t.Aardvark)
	}
	for _, n := range r.Networks {
		if !builtIn(n.Driver) {
			for _, dir := range t.Plugins {
				args = append(args, "--plugin-directory", dir)
			}
			break
		}
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, t.Path, append(args, verb, netns)...)
	cmd.Dir = "/"
	cmd.Env = t.environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fault(ctx, err, stdout.Bytes(), stderr.String())
	}
	return stdout.Bytes(), nil
}

func builtIn(driver string) bool {
	return driver == types.BridgeNetworkDriver || driver == types.MacVLANNetworkDriver || driver == types.IPVLANNetworkDriver
}

// environment is what netavark needs: iptables and nft are in /usr/sbin, which
// users do not have in their PATH on Debian.
func (t Tool) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "RUST_LOG=netavark=warn",
		// In /run only root could make the lock of iptables.
		"XTABLES_LOCKFILE=" + filepath.Join(t.Dir, "xtables.lock"),
	}
	for _, name := range []string{"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	if t.Firewall != Chosen {
		env = append(env, "NETAVARK_FW="+t.Firewall)
	}
	if t.DNSPort != 0 {
		env = append(env, "NETAVARK_DNS_PORT="+strconv.Itoa(int(t.DNSPort)))
	}
	return env
}

// fault makes an error of what netavark says: JSON on stdout.
func fault(ctx context.Context, err error, stdout []byte, stderr string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("netavark: %w", ctx.Err())
	}
	var said struct{ Error string }
	if json.Unmarshal(stdout, &said) == nil && said.Error != "" {
		if strings.Contains(said.Error, "valid firewall backend") {
			return fmt.Errorf("%w: %s", ErrNoFirewall, said.Error)
		}
		return fmt.Errorf("netavark: %s", said.Error)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == -1 {
		return fmt.Errorf("netavark was killed: %w", err)
	}
	if text := strings.TrimSpace(stderr); text != "" {
		return fmt.Errorf("netavark: %s", strings.ReplaceAll(text, "\n", "; "))
	}
	return fmt.Errorf("netavark: %w", err)
}

// named is what version 2 has in its list.
type named struct {
	Name string `json:"name"`
	types.PerNetworkOptions
}

// encode makes the request as the version reads it.
func (r Request) encode(v Version) ([]byte, error) {
	info := make(map[string]types.Network, len(r.Networks))
	list := make([]named, len(r.Networks))
	byName := make(map[string]types.PerNetworkOptions, len(r.Networks))
	for i, n := range r.Networks {
		info[n.Name], byName[n.Name] = n, r.Options[i]
		list[i] = named{n.Name, r.Options[i]}
	}
	request := map[string]any{
		"container_id": r.ID, "container_name": r.Name, "container_hostname": r.Hostname,
		"networks": byName, "network_info": info,
	}
	if v.Major >= 2 {
		request["networks"] = list
	}
	if len(r.Ports) > 0 {
		request["port_mappings"] = r.Ports
	}
	if len(r.DNSServers) > 0 {
		request["dns_servers"] = r.DNSServers
	}
	data, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode the request to netavark: %w", err)
	}
	return data, nil
}
