// Package transfer copies an image from one store to another: a program that
// saves writes to one that loads. Each is started here, as another user of this
// host, or by ssh on another host. What saving and loading are is the programs'
// matter; this package must run in the host's view, where ssh finds its user.
package transfer

import (
	"errors"
	"fmt"
	"net/url"
	"os/user"
	"strings"
)

// Place is a store, and an image in it when it is the source.
type Place struct {
	Image string
	// User is another user of this host; empty is the one who asks.
	User string
	// SSH is set for another host.
	SSH *SSH
}

// SSH is how a host is reached; what is empty is left to ssh's configuration.
type SSH struct{ Host, User, Port, Identity string }

// Lookup finds a connection of containers.conf by its name: its URI and the file
// of its key. An empty URI means that there is none.
type Lookup func(name string) (uri, identity string)

// Parse reads the arguments of scp: IMAGE or HOST::IMAGE, then HOST:: (or nothing,
// for this store). HOST is the name of a connection, [USER@]HOST[:PORT], or
// USER@localhost for a user of this host.
func Parse(args []string, lookup Lookup) (from, to Place, err error) {
	if len(args) == 0 || len(args) > 2 {
		return from, to, errors.New("name an image, and where it goes")
	}
	if from, err = parsePlace(args[0], lookup); err != nil {
		return from, to, err
	}
	if from.Image == "" {
		return from, to, fmt.Errorf("%s: must specify an image to copy: HOST::IMAGE", args[0])
	}
	if strings.HasPrefix(from.Image, "-") {
		return from, to, fmt.Errorf("%s: invalid reference format", from.Image)
	}
	if len(args) == 1 {
		if from.here() {
			return from, to, errors.New("must specify a destination: HOST::") //nolint:revive,staticcheck // it ends as the argument does
		}
		return from, to, nil
	}
	if !strings.Contains(args[1], "::") {
		return from, to, fmt.Errorf("%s: must specify a destination: HOST::", args[1]) //nolint:revive,staticcheck // it ends as the argument does
	}
	if to, err = parsePlace(args[1], lookup); err != nil {
		return from, to, err
	}
	if to.Image != "" {
		return from, to, fmt.Errorf("%s: cannot specify an image rename: end with ::", args[1]) //nolint:revive,staticcheck // it ends as the argument does
	}
	return from, to, nil
}

func (p *Place) here() bool { return p.User == "" && p.SSH == nil }

func (p *Place) String() string {
	switch {
	case p.SSH != nil:
		return p.SSH.Host
	case p.User != "":
		return p.User + "@localhost"
	}
	return "this store"
}

func parsePlace(arg string, lookup Lookup) (Place, error) {
	host, image, remote := strings.Cut(arg, "::")
	if !remote {
		return Place{Image: arg}, nil
	}
	p := Place{Image: image}
	if uri, identity := lookup(host); uri != "" {
		ssh, err := parseSSH(uri)
		if err != nil {
			return p, fmt.Errorf("connection %s: %w", host, err)
		}
		ssh.Identity = identity
		p.SSH = ssh
		return p, nil
	}
	if name, ok := strings.CutSuffix(host, "@localhost"); ok {
		u, err := user.Lookup(name)
		if err != nil {
			return p, fmt.Errorf("%s: this host has no user %q", arg, name)
		}
		if me, err := user.Current(); err != nil || me.Uid != u.Uid {
			p.User = u.Username
		}
		return p, nil
	}
	ssh, err := parseSSH("ssh://" + host)
	if err != nil {
		return p, fmt.Errorf("%s: %w", arg, err)
	}
	p.SSH = ssh
	return p, nil
}

func parseSSH(uri string) (*SSH, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, errors.New("not a host: use [USER@]HOST[:PORT] or the name of a connection")
	}
	_, password := u.User.Password()
	switch {
	case u.Scheme != "ssh":
		return nil, fmt.Errorf("scheme %q: only ssh can copy images", u.Scheme)
	case u.Hostname() == "", strings.HasPrefix(u.Hostname(), "-"), strings.HasPrefix(u.User.Username(), "-"):
		return nil, errors.New("not a host: use [USER@]HOST[:PORT] or the name of a connection")
	case password:
		return nil, errors.New("a password cannot be given here: ssh asks for it")
	}
	return &SSH{Host: u.Hostname(), User: u.User.Username(), Port: u.Port()}, nil
}
