package environ

import (
	"os"
	"testing"
)

func TestSet(t *testing.T) {
	const name = "POD_ENVIRON_TEST"
	for _, before := range []string{"unset", "", "old"} {
		for _, value := range []string{"", "new"} {
			t.Run(before+" "+value, func(t *testing.T) {
				t.Setenv(name, before)
				if before == "unset" {
					_ = os.Unsetenv(name)
				}
				undo := Set(name, value)
				if got, ok := os.LookupEnv(name); got != value || ok != (value != "") {
					t.Errorf("set to %q: %q, %v", value, got, ok)
				}
				undo()
				want := before
				if before == "unset" {
					want = ""
				}
				if got, ok := os.LookupEnv(name); got != want || ok != (before != "unset") {
					t.Errorf("undone: %q, %v", got, ok)
				}
			})
		}
	}
}
