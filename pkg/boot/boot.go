// Package boot installs what starts containers when the machine, or the user's
// systemd, has started: a unit of systemd and linger, or where there is no
// systemd a line in the user's crontab. It works in the host's view, outside
// pod's namespaces, where crontab knows its user. Which containers start is
// libpod's matter.
package boot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Host is where to install, for whom, and what.
type Host struct {
	// UID, User and Home are the user's.
	UID        int
	User, Home string
	// RunBase is his run directory.
	RunBase string
	// GraphRoot is the store whose containers start, DefaultRoot the one that a
	// pod without options would take.
	GraphRoot, DefaultRoot string
	// Argv is pod with the global options of this store.
	Argv []string
	// Environ is the environment to keep what configures pod of.
	Environ []string
	// Sys is "/", but for tests.
	Sys string
}

// The ways to start containers.
const (
	Systemd = "systemd"
	Cron    = "cron"
)

// Status is what is installed and what it is good for.
type Status struct {
	// Mechanism is systemd or cron.
	Mechanism string `json:"mechanism"`
	// Installed: the unit is there and enabled, or the line is in the crontab.
	Installed bool `json:"installed"`
	// Where is the unit's file, or the crontab's line.
	Where string `json:"where,omitempty"`
	// Linger is whether the user's systemd starts with the machine; with cron,
	// and for root, it does not matter.
	Linger bool `json:"linger"`
	// Works: the wanted containers will come back.
	Works bool `json:"works"`
	// Problems are why it does not, each with its remedy.
	Problems []string `json:"problems,omitempty"`
}

// Enable installs; doing it again mends what is amiss.
func (h *Host) Enable(ctx context.Context) error {
	if h.hasSystemd() {
		return h.enableUnit(ctx)
	}
	return h.enableCron(ctx)
}

// Disable removes what Enable installed, except for linger: other services of
// the user may count on that by now.
func (h *Host) Disable(ctx context.Context) error {
	if h.hasSystemd() {
		return h.disableUnit()
	}
	return h.disableCron(ctx)
}

// Status looks at what is installed.
func (h *Host) Status(ctx context.Context) (Status, error) {
	if h.hasSystemd() {
		return h.unitStatus()
	}
	return h.cronStatus(ctx)
}

// Installed says quickly whether Enable was called for this store. It is for
// hints: of a crontab it knows what it was told, not what is there.
func (h *Host) Installed() bool {
	if h.hasSystemd() {
		return h.enabled()
	}
	_, err := os.Lstat(h.marker())
	return err == nil
}

// HasSystemd says whether systemd runs this machine.
func (h *Host) HasSystemd() bool { return h.hasSystemd() }

func (h *Host) hasSystemd() bool {
	info, err := os.Lstat(h.sys("run/systemd/system"))
	return err == nil && info.IsDir()
}

func (h *Host) sys(path string) string { return filepath.Join("/", h.Sys, path) }

// Lingers says whether systemd starts the user's manager with the machine.
func (h *Host) Lingers() bool {
	if h.UID == 0 {
		return true
	}
	_, err := os.Lstat(h.sys("var/lib/systemd/linger/" + filepath.Base(h.User)))
	return err == nil
}

// name tells the stores of a user apart: the default one is plain, as the unit that
// comes with pod.
func (h *Host) name() string {
	if h.GraphRoot == h.DefaultRoot {
		return "pod-restart"
	}
	sum := sha256.Sum256([]byte(h.GraphRoot))
	return "pod-restart-" + hex.EncodeToString(sum[:4])
}

// marker says that a line is in the crontab: to look there takes a process.
func (h *Host) marker() string { return filepath.Join(h.GraphRoot, "pod", "boot.cron") }

// environ are the variables that decide where pod's files are and how it is
// configured: neither systemd nor cron reads the user's profile.
func (h *Host) environ() []string {
	var env []string
	for _, entry := range h.Environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.ContainsAny(value, "\n") {
			continue
		}
		if strings.HasPrefix(name, "CONTAINERS_") || strings.HasPrefix(name, "STORAGE_") ||
			name == "REGISTRY_AUTH_FILE" || name == "XDG_DATA_HOME" || name == "XDG_CONFIG_HOME" {
			env = append(env, entry)
		}
	}
	return env
}

// argv is the command that starts the containers.
func (h *Host) argv() []string { return append(append([]string{}, h.Argv...), "boot", "run") }

// checkProgram says what is wrong with the program that is to be started.
func (h *Host) checkProgram() string {
	info, err := os.Stat(h.Argv[0])
	if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Sprintf("%s is not there any more: run `pod boot enable` again", h.Argv[0])
	}
	return ""
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}
