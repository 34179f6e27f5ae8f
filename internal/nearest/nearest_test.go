package nearest_test

import (
	"testing"

	"github.com/rootless-pod/pod/internal/nearest"
)

func TestOf(t *testing.T) {
	t.Parallel()
	names := []string{"Image", "ImageTag", "Exec", "DNS"}
	tests := []struct {
		word, want string
		ok         bool
	}{
		{"Imagee", "Image", true},
		{"image", "Image", true},
		{"ImagTag", "ImageTag", true},
		{"exce", "Exec", true},
		{"dns", "DNS", true},
		{"dnx", "DNS", true},
		{"dxx", "", false},
		{"Banana", "", false},
		{"", "", false},
	}
	for _, tc := range tests {
		if got, ok := nearest.Of(tc.word, names); got != tc.want || ok != tc.ok {
			t.Errorf("Of(%q) = %q, %v, want %q, %v", tc.word, got, ok, tc.want, tc.ok)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"keep", "keep", 0}, {"keep", "kep", 1}, {"keep", "kept", 2}, {"kitten", "sitting", 3}, {"wbe", "web", 1}}
	for _, tc := range tests {
		if got := nearest.Distance(tc.a, tc.b); got != tc.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
