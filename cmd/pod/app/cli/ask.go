package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Confirmed asks before what cannot be taken back; what that is, the caller has
// said. Without a terminal to ask on, the answer is read all the same; the end of
// input is no.
func (a *App) Confirmed() (bool, error) {
	fmt.Fprint(a.Out, "Are you sure you want to continue? [y/N] ")
	answer, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y"), nil
}
