package build

import (
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/common/pkg/config"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/build"
	"github.com/rootless-pod/pod/pkg/build/isolation"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/storage"
)

// isolation takes the isolation off the flags, which it is too early to decide, and
// leaves one there that buildah knows and that refuses nothing.
func (f *flags) isolation() (string, error) {
	name, err := isolation.Name(f.run.Isolation)
	if err != nil {
		return "", err
	}
	f.run.Isolation = "rootless"
	if name == "chroot" {
		f.run.Isolation = name
	}
	return name, nil
}

// host says what a build can be made with.
func host(a *cli.App, runtimeArgs []string) (build.Host, error) {
	conf, err := a.Config()
	if err != nil {
		return build.Host{}, err
	}
	paths, err := storage.Locate(a.StorageOptions())
	if err != nil {
		return build.Host{}, err
	}
	session := a.Session()
	find := func(name string) string {
		path, err := conf.FindHelperBinary(name, true)
		if err != nil {
			return ""
		}
		return path
	}
	h := build.Host{
		SingleID: session.SingleID,
		Warn:     func(s string) { a.Warn("%s", s) },
		Isolation: isolation.Host{
			RuntimeArgs: runtimeArgs, Rootless: session.Rootless,
			RunDir: filepath.Join(paths.RunRoot, "pod", "build"), Scratch: filepath.Join(paths.Root, "pod"),
		},
		Net: build.Net{
			Rootless: session.Rootless, NetNSDir: filepath.Join(session.RunBase, "netns"), RunDir: filepath.Join(paths.RunRoot, "pod", "build"),
			Helpers: network.Helper{
				Pasta: find("pasta"), PastaOptions: conf.Network.PastaOptions.Get(),
				Slirp4netns: find("slirp4netns"), SlirpOptions: conf.Engine.NetworkCmdOptions.Get(),
				Default: conf.Network.DefaultRootlessNetworkCmd,
			},
		},
	}
	if err := withoutNetavark(conf, filepath.Join(h.Isolation.RunDir, "bin")); err != nil {
		return h, err
	}
	h.Isolation.Runtime, h.Isolation.RuntimeErr = ociruntime.Find(wantedRuntime(a, conf.Engine.OCIRuntime), conf.Engine.OCIRuntimes)
	return h, nil
}

// wantedRuntime is what names the runtime: the flag, buildah's variable, or the
// configuration; empty for the best there is.
func wantedRuntime(a *cli.App, configured string) string {
	for _, name := range []string{a.Global.Runtime, os.Getenv("BUILDAH_RUNTIME")} {
		if name != "" {
			return name
		}
	}
	return configured
}

// withoutNetavark has buildah, which will not start without netavark, find a program
// where there is none. Only a bridge network would need it, and then it says so.
func withoutNetavark(conf *config.Config, dir string) error {
	const name = "netavark"
	if _, err := conf.FindHelperBinary(name, false); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("stand-in for netavark: %w", err)
	}
	const script = "#!/bin/sh\necho 'netavark is not installed: bridge networks need it' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		return fmt.Errorf("stand-in for netavark: %w", err)
	}
	conf.Engine.HelperBinariesDir.Set(append(conf.Engine.HelperBinariesDir.Get(), dir))
	return nil
}
