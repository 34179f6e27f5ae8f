// Package netns makes network namespaces, keeps them alive as bind-mounted
// files, and runs code inside them. What is connected to a namespace is the
// matter of the drivers beside it.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// ErrNotNetNS says that a path exists but is no namespace file.
var ErrNotNetNS = errors.New("not a network namespace")

// Create makes a network namespace with loopback up and binds it to path, whose
// directory is made if needed. A remnant of an earlier namespace at path is
// replaced. It costs 0.4 ms, nearly all of it the kernel's. setup runs inside it
// before anybody can join.
func Create(path string, setup ...func() error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	if err := placeholder(path); err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace: %w", err)
		}
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("bring up loopback: %w", err)
		}
		for _, fn := range setup {
			if err := fn(); err != nil {
				return fmt.Errorf("set up network namespace: %w", err)
			}
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind network namespace to %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, Remove(path))
	}
	return nil
}

// placeholder makes the empty file a namespace is bound to.
func placeholder(path string) error {
	for try := 0; ; try++ {
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_RDONLY|unix.O_CLOEXEC, 0o600)
		if err == nil {
			return unix.Close(fd)
		}
		if !errors.Is(err, fs.ErrExist) || try > 0 {
			return &fs.PathError{Op: "create", Path: path, Err: err}
		}
		if err := Remove(path); err != nil {
			return err
		}
	}
}

// Remove unmounts and deletes the file of a namespace. The namespace itself ends
// when nothing uses it any more. A missing path is no error.
func Remove(path string) error {
	// Stacked binds can only come from a crash between two attempts; the bound
	// keeps a hostile directory from spinning us.
	for range 8 {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == nil {
			continue
		}
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break
		}
		return fmt.Errorf("unmount network namespace %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace: %w", err)
	}
	return nil
}

// Check says whether path is a namespace file, bound or in /proc.
func Check(path string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if st.Type != unix.NSFS_MAGIC {
		return fmt.Errorf("%s: %w", path, ErrNotNetNS)
	}
	return nil
}

// Do runs fn on a thread that is inside the namespace at path. fn must not start
// goroutines or processes that are meant to be inside too.
func Do(path string, fn func() error) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	return onOwnThread(func() error {
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		return fn()
	})
}

// Addresses lists the addresses a process in the namespace at path can be
// reached by: neither loopback nor link-local IPv6, which no other host can use.
func Addresses(path string) ([]netip.Prefix, error) {
	var found []netip.Prefix
	err := Do(path, func() error {
		var err error
		found, err = LocalAddresses()
		return err
	})
	return found, err
}

// LocalAddresses does the same for the namespace of the calling thread.
func LocalAddresses() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var found []netip.Prefix
	for _, addr := range addrs {
		ipnet, ok := addr.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(ipnet.IP)
		if !ok {
			continue
		}
		ip = ip.Unmap()
		if ip.IsLoopback() || ip.IsMulticast() || ip.Is6() && ip.IsLinkLocalUnicast() {
			continue
		}
		bits, _ := ipnet.Mask.Size()
		found = append(found, netip.PrefixFrom(ip, bits))
	}
	return found, nil
}

// onOwnThread runs fn on a thread that ends afterwards. An unprivileged process
// cannot go back to the host's network namespace, since it belongs to a user
// namespace above it, so the thread is spent. The first thread must never be the
// one: it does not end, and /proc/self shows its namespaces.
func onOwnThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// Held here, the first thread cannot take the next goroutine.
			err := onOwnThread(fn)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- fn() // stays locked: the runtime ends the thread
	}()
	return <-done
}

// loopbackUp brings lo up in the namespace of the calling thread.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}
