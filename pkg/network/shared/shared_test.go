package shared

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestAt(t *testing.T) {
	four, six := subnet()
	for want, got := range map[string]netip.Prefix{
		"10.254.0.1/16": at(four, 1), "10.254.253.232/16": at(four, 65000), "fd70:6f64::fde8/64": at(six, 65000),
	} {
		if got.String() != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestClaim: two containers of one hash get two numbers, one keeps its own, and
// that of a namespace that is gone is given again.
func TestClaim(t *testing.T) {
	dir := t.TempDir()
	const ns = "/proc/self/ns/net"
	first, err := claim(dir, "id", ns)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := claim(dir, "id", ns); err != nil || again != first {
		t.Errorf("again %d, %v, want %d", again, err, first)
	}
	second, err := claim(dir, "id", "/proc/thread-self/ns/net")
	if err != nil || second == first {
		t.Errorf("second %d, %v, first %d", second, err, first)
	}
	matches, err := filepath.Glob(filepath.Join(dir, claimsDir, "*"))
	if err != nil || len(matches) != 2 {
		t.Fatalf("claims %v, %v", matches, err)
	}
	for _, m := range matches {
		if err := os.Remove(m); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/nonexistent", m); err != nil {
			t.Fatal(err)
		}
	}
	if third, err := claim(dir, "id", ns); err != nil || third != first {
		t.Errorf("of one that is gone: %d, %v, want %d", third, err, first)
	}
}
