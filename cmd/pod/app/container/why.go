package container

import (
	"context"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/why"
)

type whyOptions struct {
	user              string
	read, write, exec bool
	json              bool
}

func newWhy(a *cli.App) *cobra.Command {
	var o whyOptions
	cmd := &cobra.Command{
		Use: "why [options] CONTAINER PATH", Short: "Explain whether a process of a container may reach a path",
		Long: "Walk a path in a container, running or not, as the container's user would, and say which component\n" +
			"refuses and why: owner inside and outside, mode, ACL, mount, label. Then the flags that would mend it,\n" +
			"the smallest first. Nothing in the container is changed or executed.\n\n" +
			"The exit code is 0 if the access is allowed and 1 if it is refused.",
		Example: "  pod why web /data/file\n  pod why --write --user 1000 web /data",
		Args:    cobra.ExactArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return runWhy(cmd.Context(), a, &o, args) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&o.user, "user", "u", "", "Ask for this user (name or id, with an optional :group) instead of the container's")
	fs.BoolVarP(&o.read, "read", "r", false, "Read it (the default)")
	fs.BoolVarP(&o.write, "write", "w", false, "Write it: change a file, or what is in a directory")
	fs.BoolVarP(&o.exec, "exec", "x", false, "Execute it, or enter a directory")
	fs.BoolVar(&o.json, "json", false, "Print the explanation as JSON")
	return cmd
}

func (o *whyOptions) access() why.Access {
	var a why.Access
	for _, want := range []struct {
		given bool
		bit   why.Access
	}{{o.read, why.Read}, {o.write, why.Write}, {o.exec, why.Exec}} {
		if want.given {
			a |= want.bit
		}
	}
	if a == 0 {
		return why.Read
	}
	return a
}

func runWhy(ctx context.Context, a *cli.App, o *whyOptions, args []string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	answer, err := e.Why(ctx, args[0], libpod.WhyOptions{User: o.user, Path: args[1], Access: o.access()})
	if err != nil {
		return err
	}
	r := newWhyReport(answer, o.access())
	if o.json {
		err = output.JSON(a.Out, r)
	} else {
		err = r.print(a)
	}
	if err == nil && !r.Allowed {
		return &cli.Exit{Code: 1}
	}
	return err
}

// whyReport is what why --json prints.
type whyReport struct {
	Container string       `json:"container"`
	Path      string       `json:"path"`
	Access    []string     `json:"access"`
	Allowed   bool         `json:"allowed"`
	User      whyUser      `json:"user"`
	Refused   *why.Refusal `json:"refused,omitempty"`
	Steps     []whyStep    `json:"steps"`
	Remedies  []why.Remedy `json:"remedies"`
	// Files says how the image's files got the container's ids.
	Files string `json:"files,omitempty"`
}

type whyUser struct {
	UID      uint32   `json:"uid"`
	GID      uint32   `json:"gid"`
	Groups   []uint32 `json:"groups"`
	HostUID  int      `json:"hostUID"`
	HostUser string   `json:"hostUser,omitempty"`
}

type whyStep struct {
	Path string   `json:"path"`
	Kind why.Kind `json:"kind"`
	Mode string   `json:"mode,omitempty"`
	// UID and GID are those inside, -1 if they are not mapped there.
	UID      int      `json:"uid"`
	GID      int      `json:"gid"`
	HostUID  int      `json:"hostUID"`
	HostGID  int      `json:"hostGID"`
	HostUser string   `json:"hostUser,omitempty"`
	Mount    string   `json:"mount,omitempty"`
	Flags    []string `json:"flags,omitempty"`
	ACL      []string `json:"acl,omitempty"`
	Label    string   `json:"label,omitempty"`
	Target   string   `json:"target,omitempty"`

	owner string
}

func newWhyReport(answer *libpod.WhyAnswer, access why.Access) *whyReport {
	names := hostNames{}
	s := &answer.Subject
	r := &whyReport{
		Container: answer.Container, Path: answer.Path, Access: access.Names(), Allowed: answer.Refused == nil,
		User:    whyUser{UID: s.UID, GID: s.GID, Groups: s.Groups, HostUID: answer.HostUID, HostUser: names.of(answer.HostUID)},
		Refused: answer.Refused, Steps: []whyStep{}, Remedies: answer.Remedies,
		Files: answer.Files,
	}
	if r.Remedies == nil {
		r.Remedies = []why.Remedy{}
	}
	for i := range answer.Steps {
		r.Steps = append(r.Steps, names.step(&answer.Steps[i]))
	}
	return r
}

// hostNames remembers names of the host's users.
type hostNames map[int]string

func (n hostNames) of(id int) string {
	if id < 0 {
		return ""
	}
	if _, known := n[id]; !known {
		n[id] = ""
		if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
			n[id] = u.Username
		}
	}
	return n[id]
}

func (n hostNames) step(st *why.Step) whyStep {
	out := whyStep{
		Path: st.Path, Kind: st.Kind, UID: -1, GID: -1, HostUID: st.HostUID, HostGID: st.HostGID, Mount: st.Where,
		Label: st.Label, Target: st.Target,
	}
	switch st.Kind {
	case why.Missing, why.Loop, why.Unmade, why.Hidden:
		out.HostUID, out.HostGID, out.Mount = -1, -1, ""
		return out
	}
	out.Mode, out.HostUser, out.owner = st.Letters(), n.of(st.HostUID), st.Owner()
	if !st.NoUID {
		out.UID = int(st.UID)
	}
	if !st.NoGID {
		out.GID = int(st.GID)
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{st.ReadOnly, "ro"}, {st.NoExec, "noexec"}, {st.NoDev, "nodev"}, {st.Immutable, "immutable"}, {st.Append, "append"}} {
		if flag.set {
			out.Flags = append(out.Flags, flag.name)
		}
	}
	for _, e := range st.ACL {
		out.ACL = append(out.ACL, e.String())
	}
	return out
}

// print shows the walk as a table, the verdict, and what helps.
func (r *whyReport) print(a *cli.App) error {
	verdict := "may"
	if !r.Allowed {
		verdict = "may not"
	}
	fmt.Fprintf(a.Out, "%s: user %d:%d%s %s %s %s\n", r.Container, r.User.UID, r.User.GID, host(r.User.HostUID, r.User.HostUser),
		verdict, strings.Join(r.Access, " and "), output.Printable(r.Path))
	tw := tabwriter.NewWriter(a.Out, 2, 1, 2, ' ', 0)
	for _, st := range r.Steps {
		name := st.Path
		if st.Target != "" {
			name += " -> " + st.Target
		}
		mark := " "
		if r.Refused != nil && r.Refused.Component == st.Path {
			mark = ">"
		}
		where := st.Mount
		if len(st.Flags) > 0 {
			where += " (" + strings.Join(st.Flags, ",") + ")"
		}
		if st.Mode == "" {
			fmt.Fprintf(tw, "%s %s\t%s\t\t\n", mark, output.Printable(name), st.Kind)
			continue
		}
		fmt.Fprintf(tw, "%s %s\t%s\t%s%s\t%s\n", mark, output.Printable(name), st.Mode, st.owner, host(st.HostUID, st.HostUser), output.Printable(where))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if r.Files != "" {
		fmt.Fprintln(a.Out, "files of the image: "+r.Files)
	}
	if r.Refused == nil {
		return nil
	}
	fmt.Fprintf(a.Out, "%s: %s\n", output.Printable(r.Refused.Component), output.Printable(r.Refused.Reason))
	if len(r.Remedies) == 0 {
		fmt.Fprintln(a.Out, "no flag of the container mends this")
	}
	for i, m := range r.Remedies {
		word := "mend:"
		if i > 0 {
			word = "or:  "
		}
		change := m.Add
		switch {
		case m.Add == "":
			change = "without " + m.Remove
		case m.Remove != "":
			change += " (for " + m.Remove + ")"
		}
		fmt.Fprintf(a.Out, "%s %s: %s\n", word, output.Printable(change), output.Printable(m.Why))
	}
	return nil
}

// host is an id of the host in words.
func host(id int, name string) string {
	switch {
	case id < 0:
		return ""
	case name != "":
		return fmt.Sprintf(" (host %s)", name)
	}
	return fmt.Sprintf(" (host %d)", id)
}
