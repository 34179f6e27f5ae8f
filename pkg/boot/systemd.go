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

// packaged is the unit that came with pod, which starts the containers of the
// default store; it has the name of ours, so that it cannot work beside that: systemd
// reads the first of a name. "" where there is none.
func (h *Host) packaged() string {
	if h.GraphRoot != h.DefaultRoot {
		return ""
	}
	kind := "user"
	if h.UID == 0 {
		kind = "system"
	}
	for _, dir := range []string{"usr/local/lib", "usr/lib"} { // as systemd orders them
		path := h.sys(filepath.Join(dir, "systemd", kind, h.name()+".service"))
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// enabledForAll is the link that `systemctl --global enable` makes.
func (h *Host) enabledForAll() string {
	return h.sys(filepath.Join("etc/systemd/user", h.target()+".wants", h.name()+".service"))
}

// enabled says whether the manager will start the unit.
func (h *Host) enabled() bool {
	if _, err := os.Lstat(h.wantedBy()); err == nil {
		return true
	}
	_, err := os.Lstat(h.enabledForAll())
	return err == nil && h.UID != 0
}

// unitText is the unit's file. KillMode leaves alone what the command started,
// and nothing is stopped when the unit is: containers end with the manager.
func (h *Host) unitText() string {
	var b strings.Builder
	b.WriteString("# Made by `pod boot enable`; `pod boot disable` removes it.\n[Unit]\n")
	b.WriteString("Description=Containers of pod that a restart policy brings back\n")
	online := "pod-user-wait-network-online.service" // no matter if that is not installed
	if h.UID == 0 {
		online = "network-online.target"
	}
	b.WriteString("Wants=" + online + "\nAfter=" + online + "\n")
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
	err := errors.Join(removeFile(h.wantedBy()), removeFile(h.unit()))
	if err == nil && h.enabled() {
		name := h.name()
		return fmt.Errorf("%s.service is enabled for all users: `systemctl --user mask %s` exempts you, as root `systemctl --global disable %s` ends it for all", name, name, name)
	}
	return err
}

func (h *Host) unitStatus() (Status, error) {
	s := Status{Mechanism: Systemd, Linger: h.Lingers()}
	text, err := os.ReadFile(h.unit())
	switch {
	case errors.Is(err, os.ErrNotExist):
		s.Where = h.packaged()
		if s.Where == "" || !h.enabled() {
			s.Where = ""
			s.Problems = append(s.Problems, "nothing is installed: `pod boot enable`")
			return s, nil
		}
		s.Installed = true
		if len(h.environ()) > 0 {
			s.Problems = append(s.Problems, "the unit does not know your environment ("+strings.Join(h.environ(), ", ")+"): `pod boot enable` writes one that does")
		}
	case err != nil:
		return s, fmt.Errorf("read unit: %w", err)
	default:
		s.Where, s.Installed = h.unit(), h.enabled() && len(text) > 0
		s.Problems = append(s.Problems, h.unitProblems(string(text))...)
	}
	if !s.Linger {
		s.Problems = append(s.Problems, fmt.Sprintf("user %s does not linger, so nothing starts before the login: as root, `loginctl enable-linger %s`", h.User, h.User))
	}
	s.Works = len(s.Problems) == 0
	return s, nil
}

// unitProblems are those of our unit, whose file has the text.
func (h *Host) unitProblems(text string) (problems []string) {
	if text == "" { // a link to /dev/null
		return []string{"the unit is masked: `pod boot enable` puts it there again"}
	}
	if !h.enabled() {
		problems = append(problems, "the unit is not enabled: `pod boot enable`")
	}
	if text != h.unitText() {
		problems = append(problems, "the unit is not what pod would write now (program, options or environment differ): `pod boot enable` renews it")
	}
	if problem := h.checkProgram(); problem != "" {
		problems = append(problems, problem)
	}
	return problems
}
