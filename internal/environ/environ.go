// Package environ changes the environment for a library that takes a setting from
// nowhere else.
package environ

import "os"

// Set sets a variable, or with an empty value takes it away, and returns what makes it
// as it was. Who starts programs meanwhile hands it on to them.
func Set(variable, value string) (undo func()) {
	before, had := os.LookupEnv(variable)
	put(variable, value, value != "")
	return func() { put(variable, before, had) }
}

func put(variable, value string, has bool) {
	// They fail for names and values that no environment can have.
	if has {
		_ = os.Setenv(variable, value)
	} else {
		_ = os.Unsetenv(variable)
	}
}
