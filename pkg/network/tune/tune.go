// Package tune sets how TCP sends out of a network namespace that pasta connects.
//
// pasta (to 2025-05 at least) offers its peer a window of all that its socket's
// send buffer may ever hold. That is more than fits: the buffer counts what the
// kernel needs besides the data, and what is in it already. What does not fit is
// dropped, without SACK and without a duplicate acknowledgement, so the sender in
// the namespace learns of it by a timeout of 200 ms and more: 0.05 to 0.2 Gbit/s on
// a path that carries 5. It is the same for what a server in a container sends to
// clients of a published port that are not on the host's loopback.
//
// A smaller send buffer in the namespace keeps below what pasta takes; a shorter
// least timeout makes what is still lost cheap. Both belong to the namespace, and
// --sysctl of a container goes over them. docs/performance.md has the numbers.
package tune

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// sendBuffer is the most that one TCP socket may have under way. 512 KiB are
	// a little faster to the host itself, but cost a tenth at a round trip of
	// 20 ms, where pasta needs 10 ms more to see an acknowledgement; 1 MiB loses
	// more often.
	sendBuffer = 768 << 10
	// leastTimeout in microseconds: more than the 10 ms after which pasta looks for
	// acknowledgements by itself.
	leastTimeout = 20_000
)

// sysctls is where the settings of the calling thread's network namespace are.
const sysctls = "/proc/sys/net/ipv4/"

// Sender changes the network namespace of the calling thread. What this kernel
// lacks, or a nested host has closed, is left as it is: the network works then too.
func Sender() error { return sender(sysctls) }

func sender(dir string) error {
	return errors.Join(lower(dir+"tcp_rto_min_us", leastTimeout), lower(dir+"tcp_wmem", sendBuffer))
}

// lower bounds the numbers in a file.
func lower(path string, bound int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return harmless(err)
	}
	words := strings.Fields(string(data))
	fields := make([]int, len(words))
	for i, word := range words {
		if fields[i], err = strconv.Atoi(word); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		fields[i] = min(fields[i], bound)
	}
	next := strings.Trim(fmt.Sprint(fields), "[]")
	if next == strings.Join(words, " ") {
		return nil
	}
	return harmless(os.WriteFile(path, []byte(next), 0))
}

// harmless drops the errors of settings that are missing or closed.
func harmless(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}
