package whole

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestPartOfTheTree makes for each command the tree that its command line gets, and
// compares the command with that of the whole tree.
func TestPartOfTheTree(t *testing.T) {
	t.Parallel()
	var walk func(whole *cobra.Command)
	walk = func(whole *cobra.Command) {
		for _, c := range whole.Commands() {
			walk(c)
		}
		for _, name := range append([]string{whole.Name()}, whole.Aliases...) {
			path := strings.Fields(whole.CommandPath())
			path[len(path)-1] = name
			args := append([]string{"pod", "--log-level", "debug"}, path[1:]...)
			root := Program().Tree(args)
			part, _, err := root.Find(path[1:])
			if err != nil || part.CommandPath() != whole.CommandPath() || names(part) != names(whole) {
				t.Errorf("%v: found %q with %s, %v; want %s", args, part.CommandPath(), names(part), err, names(whole))
			}
			if whole.HasParent() && whole.Runnable() && !whole.HasSubCommands() && len(root.Commands()) > 30 && name == whole.Name() {
				t.Errorf("%v: the whole tree is made: the name of its maker is another", args)
			}
		}
	}
	walk(Tree())
}

// names are those of a command's flags and of the commands below it.
func names(c *cobra.Command) string {
	var all []string
	c.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, "--"+f.Name) })
	for _, sub := range c.Commands() {
		all = append(all, sub.Name())
	}
	return strings.Join(all, " ")
}

func TestWholeTree(t *testing.T) {
	t.Parallel()
	whole := len(Tree().Commands())
	for _, args := range [][]string{{"pod"}, {"pod", "--version"}, {"pod", "help"}, {"pod", "runn"}, {"pod", "__complete", "run", ""}, {"pod", "--", "run"}} {
		if n := len(Program().Tree(args).Commands()); n != whole {
			t.Errorf("%v: %d commands, want all %d", args, n, whole)
		}
	}
}
