package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootless-pod/pod/internal/scope"
)

// unitDir is where the manager looks for the user's units: in the home of his
// account, whatever HOME says now.
func (h *Host) unitDir() string {
	if h.UID == 0 {
		return h.sys("etc/systemd/system")
	}
	return filepath.Join(h.Home, ".config/systemd/user")
}

func (h *Host) target() string {
	if h.UID == 0 {
		return "multi-user.target"
	}
	return "default.target"
}

func (h *Host) unit() string { return filepath.Join(h.unitDir(), h.name()+".service") }
func (h *Host) wantedBy() string {
	return filepath.Join(h.unitDir(), h.target()+".wants", h.name()+".service")
}

// unitText is the unit's file. KillMode leaves alone what the command started,
// and nothing is stopped when the unit is: containers end with the manager.
func (h *Host) unitText() string {
	var b strings.Builder
	b.WriteString("# Made by `pod boot enable`; `pod boot disable` removes it.\n[Unit]\n")
	b.WriteString("Description=Containers of pod that a restart policy brings back\n")
	if h.UID == 0 {
		b.WriteString("Wants=network-online.target\nAfter=network-online.target\n")
	}
	b.WriteString("\n[Service]\nType=oneshot\nRemainAfterExit=yes\nKillMode=process\n")
	for _, entry := range h.environ() {
		b.WriteString("Environment=" + unitWord(entry, false) + "\n")
	}
	words := make([]string, 0, len(h.Argv)+2)
	for _, arg := range h.argv() {
		words = append(words, unitWord(arg, true))
	}
	b.WriteString("ExecStart=" + strings.Join(words, " ") + "\n\n[Install]\nWantedBy=" + h.target() + "\n")
	return b.String()
}

// unitWord quotes a word of a unit's line (systemd.syntax(7)): % begins a
// specifier everywhere, $ a variable in commands.
func unitWord(s string, command bool) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "\n", `\n`).Replace(s)
	if command {
		s = strings.ReplaceAll(s, "$", "$$")
	}
	return `"` + s + `"`
}

// enableUnit does what systemctl enable does. A manager that runs need not be
// told: it looks at its directories when it starts, and that is what the unit is
// for.
func (h *Host) enableUnit(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(h.wantedBy()), 0o755); err != nil { //nolint:gosec // the mode of such directories
		return fmt.Errorf("make directory of units: %w", err)
	}
	tmp := h.unit() + ".new"
	if err := os.WriteFile(tmp, []byte(h.unitText()), 0o644); err != nil { //nolint:gosec // systemd's tools read it
		return fmt.Errorf("write unit: %w", err)
	}
	if err := os.Rename(tmp, h.unit()); err != nil {
		return fmt.Errorf("write unit: %w", err)
	}
	if err := os.Symlink(h.unit(), h.wantedBy()); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("enable unit: %w", err)
	}
	if h.Lingers() {
		return nil
	}
	if err := scope.SetLinger(ctx, h.UID, true); err != nil {
		return fmt.Errorf("linger of user %s cannot be switched on by pod (%w), and without it containers end with the last logout: as root, `loginctl enable-linger %s`", h.User, err, h.User)
	}
	return nil
}

func (h *Host) disableUnit() error {
	return errors.Join(removeFile(h.wantedBy()), removeFile(h.unit()))
}

func (h *Host) unitStatus() (Status, error) {
	s := Status{Mechanism: Systemd, Linger: h.Lingers()}
	text, err := os.ReadFile(h.unit())
	switch {
	case errors.Is(err, os.ErrNotExist):
		s.Problems = append(s.Problems, "nothing is installed: `pod boot enable`")
		return s, nil
	case err != nil:
		return s, fmt.Errorf("read unit: %w", err)
	}
	s.Where = h.unit()
	_, err = os.Stat(h.wantedBy())
	s.Installed = err == nil
	if !s.Installed {
		s.Problems = append(s.Problems, "the unit is not enabled: `pod boot enable`")
	}
	if string(text) != h.unitText() {
		s.Problems = append(s.Problems, "the unit is not what pod would write now (program, options or environment differ): `pod boot enable` renews it")
	}
	if problem := h.checkProgram(); problem != "" {
		s.Problems = append(s.Problems, problem)
	}
	if !s.Linger {
		s.Problems = append(s.Problems, fmt.Sprintf("user %s does not linger, so nothing starts before the login: as root, `loginctl enable-linger %s`", h.User, h.User))
	}
	s.Works = len(s.Problems) == 0
	return s, nil
}
