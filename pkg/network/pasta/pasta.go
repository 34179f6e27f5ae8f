// Package pasta connects a network namespace with pasta(1), which needs no
// privilege. The arguments are made here and not by common/libnetwork, which
// always passes an option that Debian 12's pasta does not know.
package pasta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/netns"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Options say what to connect and how.
type Options struct {
	// Path of the program.
	Path string
	// NetNS is the file of the namespace.
	NetNS string
	// Ports to publish; host ports are chosen already.
	Ports []specgen.PortMapping
	// Extra are options of containers.conf and then of the command line.
	Extra []string
	// RealRoot: pod is root of the host, in no user namespace.
	RealRoot bool
	// CacheDir keeps what is known of the program.
	CacheDir string
	// PIDFile is written by pasta when it is ready and removed by Wait.
	PIDFile string
}

// Pasta is a started pasta that may not be ready yet.
type Pasta struct {
	opts    Options
	known   features
	args    arguments
	program *link.Program
}

// Start runs pasta and does not wait for it.
func Start(ctx context.Context, opts Options) (*Pasta, error) {
	if opts.Path == "" {
		return nil, errors.New("pasta is not installed: install the package passt, or use --network none or --network host (pod doctor --check pasta explains)")
	}
	if err := link.CheckTun(); err != nil {
		return nil, fmt.Errorf("pasta: %w", err)
	}
	known, err := detect(ctx, opts.Path, opts.CacheDir)
	if err != nil {
		return nil, err
	}
	p := &Pasta{opts: opts, known: known}
	if p.args, err = build(opts, known.MapGuest); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(opts.PIDFile), 0o700); err != nil {
		return nil, fmt.Errorf("pasta: %w", err)
	}
	// The file that tells of readiness may be one of a pod that was killed.
	if err := os.Remove(opts.PIDFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pasta: %w", err)
	}
	// In the foreground, for to go into the background pasta forks with 15 MB of tables
	// (4 ms of processor time), and in a PID namespace as there.
	// By its plain name, since pasta takes from it whether it is pasta or passt.
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	if p.program, err = link.SpawnAs(opts.Path, faster(opts.Path, cpu.X86.HasAVX2), p.args.argv, attr); err != nil {
		return nil, err
	}
	return p, nil
}

// Wait returns when pasta has configured the namespace.
func (p *Pasta) Wait(ctx context.Context) (link.Link, error) {
	defer p.forget()
	id, err := process.Of(p.program.Process.Pid) // not reaped yet, so it is pasta's
	if err == nil {
		err = p.ready(ctx)
	}
	l := link.Link{Process: id, Warnings: p.program.Messages()}
	if err != nil {
		return l, fmt.Errorf("pasta: %w", err)
	}
	if l.Addresses, err = netns.Addresses(p.opts.NetNS); err != nil {
		return l, fmt.Errorf("pasta: %w", err)
	}
	l.Warnings = append(l.Warnings, p.limits()...)
	l.DNS = p.sameFamily(p.args.dns, l.Addresses)
	if host := p.sameFamily(p.args.host, l.Addresses); len(host) > 0 {
		l.HostAddress = host[0]
	}
	return l, nil
}

// look is between two looks whether pasta is ready.
const look = 500 * time.Microsecond

// ready waits for the pid file, which pasta writes when all is done that can fail. A
// pasta that ends later is reaped as long as this process lives.
func (p *Pasta) ready(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- p.program.Wait() }()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = p.program.Process.Kill()
			<-ended
			return ctx.Err()
		case err := <-ended:
			if err == nil {
				err = errors.New("it has ended")
			}
			return fault(p.program.Messages(), err)
		case <-tick.C:
		}
		if file, err := os.Stat(p.opts.PIDFile); err == nil && file.Size() > 0 {
			return p.program.Seal()
		}
	}
}

// Kill ends a pasta that Wait was not called for.
func (p *Pasta) Kill(ctx context.Context) error {
	defer p.forget()
	p.program.KillAll()
	return link.StopAll(ctx, p.opts.NetNS)
}

// forget removes what only the start needed.
func (p *Pasta) forget() {
	_ = os.Remove(p.opts.PIDFile) // often never written
	_ = p.program.Close()
}

// limits tells of a fault of old versions: Debian 12's sends the answers to UDP
// clients on the host's loopback to descriptor 0.
func (p *Pasta) limits() []string {
	if p.known.MapGuest {
		return nil
	}
	for _, port := range p.opts.Ports {
		if port.Protocol == "udp" {
			return []string{"this old version of pasta loses answers to UDP clients on this host (other hosts get them): upgrade the package passt"}
		}
	}
	return nil
}

// sameFamily keeps the addresses of a family that the container has.
func (p *Pasta) sameFamily(addrs []string, have []netip.Prefix) []string {
	var kept []string
	for _, text := range addrs {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		for _, h := range have {
			if h.Addr().Is4() == ip.Is4() {
				kept = append(kept, text)
				break
			}
		}
	}
	return kept
}

// fault turns pasta's messages into an error; those with a remedy of pod's own
// wrap a sentinel.
func fault(messages []string, err error) error {
	text := strings.Join(messages, "; ")
	switch {
	case strings.Contains(text, "No external routable interface"),
		strings.Contains(text, "External interface not usable"),
		strings.Contains(text, "No routable interface"):
		return link.ErrNoRoute
	case strings.Contains(text, "Failed to bind"):
		return fmt.Errorf("%w: %s", link.ErrPort, text)
	case text == "":
		var status interface{ ExitCode() int }
		if errors.As(err, &status) && status.ExitCode() == -1 {
			return fmt.Errorf("was killed: %w", err)
		}
		return err
	default:
		return errors.New(text)
	}
}
