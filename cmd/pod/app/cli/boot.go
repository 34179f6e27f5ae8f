package cli

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/rootless-pod/pod/pkg/boot"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Boot is where to install what starts the containers of this store with the
// machine. It works in the host's view too.
func (a *App) Boot() (*boot.Host, error) {
	argv, err := a.Self()
	if err != nil {
		return nil, err
	}
	h := &boot.Host{UID: a.HostUID(), User: strconv.Itoa(a.HostUID()), Home: os.Getenv("HOME"), Argv: argv, Environ: os.Environ()}
	if u, err := user.LookupId(h.User); err == nil {
		h.User, h.Home = u.Username, u.HomeDir
	}
	if h.RunBase, err = rootless.RunBase(h.UID); err != nil {
		return nil, err
	}
	opts := a.StorageOptions()
	opts.Rootless = h.UID != 0
	paths, err := storage.Locate(opts)
	if err != nil {
		return nil, err
	}
	h.GraphRoot, h.DefaultRoot = paths.Root, "/var/lib/containers/storage"
	if opts.Rootless {
		h.DefaultRoot = filepath.Join(h.Home, ".local/share/containers/storage")
	}
	return h, nil
}
