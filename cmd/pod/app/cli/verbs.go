package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Verbs are commands by their names. To make one is to register all its flags, a
// millisecond for some, so only that is made which the command line names.
type Verbs map[string]func(*App) *cobra.Command

// With gives a command's maker what it wants to know.
func With[T any](maker func(*App, T) *cobra.Command, what T) func(*App) *cobra.Command {
	return func(a *App) *cobra.Command { return maker(a, what) }
}

// Want has Group and Top make those commands only that args, without the program's
// name, name; global are the flags that may come before. Nothing: all.
func (a *App) Want(global *pflag.FlagSet, args []string) {
	a.wanted = nil
	for i := 0; i < len(args) && len(a.wanted) < 2; i++ {
		arg := args[i]
		switch {
		case arg == "--" || arg == "" || arg == "-":
			return
		case arg[0] != '-':
			a.wanted = append(a.wanted, arg)
		case takesNext(global, arg):
			i++
		}
	}
}

// Wanted is the name of the first command that is wanted; empty for all.
func (a *App) Wanted() string {
	if len(a.wanted) == 0 {
		return ""
	}
	return a.wanted[0]
}

// takesNext says whether a flag's value is the next argument.
func takesNext(fs *pflag.FlagSet, arg string) bool {
	var f *pflag.Flag
	switch name, long := strings.CutPrefix(arg, "--"); {
	case strings.Contains(arg, "="):
		return false
	case long:
		f = fs.Lookup(name)
	case len(arg) == 2:
		f = fs.ShorthandLookup(arg[1:])
	}
	return f != nil && f.NoOptDefVal == ""
}

// Group adds the verbs of a group to it that are wanted: all, if none of them is
// named.
func (a *App) Group(group *cobra.Command, verbs Verbs) *cobra.Command {
	if len(a.wanted) > 0 && a.wanted[0] != group.Name() && !group.HasAlias(a.wanted[0]) {
		return group
	}
	if len(a.wanted) == 2 {
		if maker, ok := verbs[a.wanted[1]]; ok {
			group.AddCommand(maker(a))
			return group
		}
	}
	for _, maker := range verbs {
		group.AddCommand(maker(a)) // cobra sorts them
	}
	return group
}

// Top makes the wanted of the commands that are in no group.
func (a *App) Top(verbs Verbs) []*cobra.Command {
	if len(a.wanted) > 0 {
		if maker, ok := verbs[a.wanted[0]]; ok {
			return []*cobra.Command{maker(a)}
		}
		return nil
	}
	var all []*cobra.Command
	for _, maker := range verbs {
		all = append(all, maker(a))
	}
	return all
}
