package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/accounts"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ownmount"
	"github.com/rootless-pod/pod/pkg/secret"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// secretDir holds the copies of a container's secrets, overlayDir what is written
// over mounts with the option O. Both lie on the disk of the graph root, the first
// as long as the container, the second as long as a run.
func (e *Engine) secretDir(id string) string { return filepath.Join(e.GraphRoot, "pod", "secrets", id) }

func (e *Engine) overlayDir(id string) string {
	return filepath.Join(e.GraphRoot, "pod", "overlays", id)
}

// ownMounts are the mounts pod makes for a container's run.
func (e *Engine) ownMounts(id string) ownmount.Dir {
	return ownmount.Dir(filepath.Join(e.paths.container(id), "m"))
}

// Secrets opens the store of the user's secrets.
func (e *Engine) Secrets() (*secret.Store, error) {
	return secret.Open(e.GraphRoot, e.Config.Secrets)
}

// SecretData returns the content of a secret.
func (e *Engine) SecretData(name string) ([]byte, error) {
	store, err := e.Secrets()
	if err != nil {
		return nil, err
	}
	return store.Data(name)
}

// findSecrets checks that all secrets exist, and notes which they are.
func (e *Engine) findSecrets(spec *specgen.Container) error {
	if len(spec.Secrets) == 0 {
		return nil
	}
	store, err := e.Secrets()
	if err != nil {
		return err
	}
	for i := range spec.Secrets {
		s := &spec.Secrets[i]
		found, err := store.Lookup(s.Name)
		if err != nil {
			return fmt.Errorf("%w: make it first (pod secret create %s FILE)", err, s.Name)
		}
		s.ID = found.ID
		if s.Target == "" {
			s.Target = found.Name
		}
		s.Name = found.Name
	}
	return nil
}

// copySecrets keeps the secrets as they are now: what happens to them later does
// not touch the container.
func (e *Engine) copySecrets(ctx context.Context, c *state.Container) error {
	if len(c.Spec.Secrets) == 0 {
		return nil
	}
	maps, err := e.mapsOf(ctx, c)
	if err != nil {
		return err
	}
	dir := e.secretDir(c.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory of the secrets: %w", err)
	}
	for i, s := range c.Spec.Secrets {
		data, err := e.SecretData(s.ID)
		if err != nil {
			return fmt.Errorf("secret %s: %w", s.Name, err)
		}
		path := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return fmt.Errorf("copy secret %s: %w", s.Name, err)
		}
		if s.Env {
			if strings.ContainsRune(string(data), 0) {
				return fmt.Errorf("secret %s holds a NUL byte and cannot be a variable: mount it", s.Name)
			}
			continue
		}
		uid, err := outer(maps.uid, s.UID)
		if err != nil {
			return fmt.Errorf("secret %s: %w", s.Name, err)
		}
		gid, err := outer(maps.gid, s.GID)
		if err != nil {
			return fmt.Errorf("secret %s: %w", s.Name, err)
		}
		if err := os.Lchown(path, int(uid), int(gid)); err != nil {
			return fmt.Errorf("give secret %s to %d:%d: %w", s.Name, s.UID, s.GID, err)
		}
		if err := os.Chmod(path, os.FileMode(s.Mode&0o777)); err != nil {
			return fmt.Errorf("copy secret %s: %w", s.Name, err)
		}
	}
	return nil
}

// secretBinds are the files of a container's secrets.
func (e *Engine) secretBinds(c *state.Container) []rspec.Mount {
	var binds []rspec.Mount
	for i := range c.Spec.Secrets {
		s := &c.Spec.Secrets[i]
		if !s.Env && !mounts(c, s.Path()) {
			binds = append(binds, rspec.Mount{
				Destination: s.Path(), Type: "bind", Source: filepath.Join(e.secretDir(c.ID), strconv.Itoa(i)),
				Options: []string{"bind", "rprivate", "nosuid", "nodev", "noexec"},
			})
		}
	}
	return binds
}

// addSecretEnv puts the secrets of type env into the process. They are in no
// record: inspect and commit do not know them.
func (e *Engine) addSecretEnv(c *state.Container, p *rspec.Process) error {
	for i := range c.Spec.Secrets {
		s := &c.Spec.Secrets[i]
		if !s.Env {
			continue
		}
		data, err := os.ReadFile(filepath.Join(e.secretDir(c.ID), strconv.Itoa(i)))
		if err != nil {
			return fmt.Errorf("read secret %s: %w", s.Name, err)
		}
		p.Env = mergeEnv(p.Env, []string{s.Variable() + "=" + string(data)})
	}
	return nil
}

// addAccounts adds who needs an entry to the container's account files: to the
// files themselves, so that tools can go on changing them, or to copies that are
// bound over them where the root file system is not to be written.
func (e *Engine) addAccounts(ctx context.Context, c *state.Container, l *launch) error {
	wish, needed, err := e.accountWish(&c.Spec)
	if err != nil || !needed {
		return err
	}
	return step.Do(ctx, "accounts", func() error { return e.writeAccounts(c, l, wish) })
}

func (e *Engine) writeAccounts(c *state.Container, l *launch, wish accounts.Wish) error {
	s := &c.Spec
	passwd, err := accounts.Read(l.root, accounts.Passwd)
	if err != nil {
		return err
	}
	group, err := accounts.Read(l.root, accounts.Group)
	if err != nil {
		return err
	}
	newPasswd, newGroup := wish.Lines(passwd, group)
	for _, file := range []struct {
		path, lines string
		old         []byte
	}{{accounts.Passwd, newPasswd, passwd}, {accounts.Group, newGroup, group}} {
		if file.lines == "" || mounts(c, "/"+file.path) || mounts(c, "/etc") {
			continue
		}
		if s.Rootfs == "" && !s.Security.ReadOnly {
			err := accounts.Append(l.root, file.path, file.lines)
			switch {
			case errors.Is(err, accounts.ErrIrregular) && s.Accounts.PasswdEntry == "" && s.Accounts.GroupEntry == "" && len(s.Accounts.HostUsers) == 0:
				continue // nobody asked for it, and such an image wants none
			case err == nil:
				continue
			case !errors.Is(err, os.ErrNotExist):
				return err
			}
		}
		if len(file.old) > 0 && file.old[len(file.old)-1] != '\n' {
			file.old = append(file.old, '\n')
		}
		copied := filepath.Join(l.dir, filepath.Base(file.path))
		if err := os.WriteFile(copied, append(file.old, file.lines...), 0o644); err != nil { //nolint:gosec // every user of the container reads it
			return fmt.Errorf("write /%s of container %s: %w", file.path, short(c.ID), err)
		}
		l.binds = append(l.binds, rspec.Mount{
			Destination: "/" + file.path, Type: "bind", Source: copied, Options: []string{"bind", "rprivate"},
		})
	}
	return nil
}

// accountWish says what entries are wanted; most containers need none, and then
// their files are not even read.
func (e *Engine) accountWish(s *specgen.Container) (accounts.Wish, bool, error) {
	a := &s.Accounts
	name, _, _ := strings.Cut(s.Process.User, ":")
	w := accounts.Wish{User: s.Process.User, WorkDir: s.Process.WorkDir, PasswdEntry: a.PasswdEntry, GroupEntry: a.GroupEntry}
	if !a.Added() {
		return w, false, nil
	}
	for _, u := range a.HostUsers {
		found, err := hostUser(u)
		if err != nil {
			return w, false, err
		}
		w.HostUsers = append(w.HostUsers, found)
	}
	if mode, err := specgen.ParseUserNS(s.Spaces.User); err == nil && mode.KeepID {
		if self, err := hostUser(strconv.Itoa(e.Session.HostUID)); err == nil {
			_, gid, _ := strings.Cut(s.Process.User, ":")
			self.UID, self.GID = name, gid
			w.Self = &self
		}
	}
	return w, len(w.HostUsers) > 0 || (s.Process.User != "" && name != "0" && name != "root"), nil
}

// mountOwn makes the mounts the runtime has no word for: sub-paths, overlays,
// images. It returns what is to be bound, by the destination.
func (e *Engine) mountOwn(ctx context.Context, c *state.Container) (map[string]string, error) {
	sources := map[string]string{}
	next := 0
	for _, m := range c.Spec.Storage.Mounts {
		_, own := m.Split()
		if !own.Overlay && m.SubPath == "" && m.Type != "image" {
			continue
		}
		source, err := e.mountOne(ctx, c, m, &next)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Destination, err)
		}
		sources[m.Destination] = source
	}
	return sources, nil
}

func (e *Engine) mountOne(ctx context.Context, c *state.Container, m specgen.Mount, next *int) (string, error) {
	dir := e.ownMounts(c.ID)
	number := func() int { *next++; return *next }
	source := m.Source
	var err error
	switch m.Type {
	case "image":
		if source, err = e.mountImage(ctx, dir, number(), m); err != nil {
			return "", err
		}
	case "volume":
		source = e.volumeDir(m.Source)
	}
	if m.SubPath != "" && m.Type != "image" {
		if source, err = dir.Sub(number(), source, m.SubPath); err != nil {
			return "", err
		}
	}
	_, own := m.Split()
	if !own.Overlay && (m.Type != "image" || !m.Writable()) {
		return source, nil
	}
	n := number()
	o := ownmount.Overlay{Lower: source, Upper: own.Upper, Work: own.Work, InUserNS: e.Session.Rootless}
	if o.Upper == "" {
		if o.Upper, o.Work, err = ownmount.Scratch(filepath.Join(e.overlayDir(c.ID), strconv.Itoa(n)), source); err != nil {
			return "", err
		}
	}
	return dir.Overlay(n, o)
}

// mountRootfs makes the root file system of --rootfs: the directory itself, what
// is thrown away over it, or it with other owners. Its place is mount 0.
func (e *Engine) mountRootfs(ctx context.Context, c *state.Container) (string, error) {
	if c.Spec.Pause() {
		return e.makePauseRoot(c)
	}
	dir := e.ownMounts(c.ID)
	switch c.Spec.RootfsOption {
	case "":
		return c.Spec.Rootfs, nil
	case "O":
		o := ownmount.Overlay{Lower: c.Spec.Rootfs, InUserNS: e.Session.Rootless}
		var err error
		if o.Upper, o.Work, err = ownmount.Scratch(filepath.Join(e.overlayDir(c.ID), "0"), c.Spec.Rootfs); err != nil {
			return "", err
		}
		return dir.Overlay(0, o)
	}
	maps, err := e.mapsOf(ctx, c)
	if err != nil {
		return "", err
	}
	uids, gids, err := c.Spec.RootfsIDs(maps.uid, maps.gid)
	if err != nil {
		return "", err
	}
	if len(uids) == 0 || len(gids) == 0 {
		return "", errors.New("--rootfs with idmap needs a user namespace of the container's own: give it one with --uidmap, or name the ids, idmap=uids=0-1-10;gids=0-1-10")
	}
	return dir.Idmapped(0, c.Spec.Rootfs, uids, gids)
}

// rootfsOf is where the root file system of --rootfs is: mounted, while it runs.
func (e *Engine) rootfsOf(c *state.Container) string {
	if c.Spec.Pause() {
		return e.pauseRoot(c.ID)
	}
	if c.Spec.RootfsOption != "" {
		if at := filepath.Join(string(e.ownMounts(c.ID)), "0"); !missing(at) {
			return at
		}
	}
	return c.Spec.Rootfs
}

// mountImage binds an image, or a path in it. The bind keeps the image's file
// system alive; the store's own mount is taken back at once, so that no count of
// the store's is left wrong by a kill.
func (e *Engine) mountImage(ctx context.Context, dir ownmount.Dir, n int, m specgen.Mount) (string, error) {
	images, err := e.Images()
	if err != nil {
		return "", err
	}
	img, err := images.Resolve(ctx, m.Source)
	if err != nil {
		return "", err
	}
	store, err := e.Storage()
	if err != nil {
		return "", err
	}
	at := ""
	err = store.WithImage(ctx, img.ID, func(root string) error {
		at, err = dir.Sub(n, root, m.SubPath)
		return err
	})
	return at, err
}

// dropOwnMounts undoes mountOwn. What was written over a mount goes with the run.
func (e *Engine) dropOwnMounts(id string) error {
	if err := e.ownMounts(id).Release(); err != nil {
		return fmt.Errorf("container %s: %w", short(id), err)
	}
	if err := os.RemoveAll(e.overlayDir(id)); err != nil {
		return fmt.Errorf("remove overlays of container %s: %w", short(id), err)
	}
	return nil
}

// dropOwnFiles removes all pod keeps of a container, mounts first: a removal must
// not go into one.
func (e *Engine) dropOwnFiles(id string) error {
	if err := e.dropOwnMounts(id); err != nil {
		return err
	}
	if err := ownmount.Unreach(id); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(e.paths.container(id)), os.RemoveAll(e.secretDir(id)))
}

// removeImage removes the image of a container that was removed, unless others
// use it (--rmi).
func (e *Engine) removeImage(ctx context.Context, c *state.Container) {
	err := step.Do(ctx, "image.remove", func() error {
		images, err := e.Images()
		if err != nil {
			return err
		}
		return images.RemoveUnused(ctx, c.ImageID, c.ImageName)
	})
	if err != nil && e.Warn != nil {
		e.Warn("image " + c.ImageName + " was not removed: " + err.Error())
	}
}
