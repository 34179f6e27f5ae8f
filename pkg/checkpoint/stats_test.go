package checkpoint

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestReadStats(t *testing.T) {
	head := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	tests := []struct {
		name string
		data []byte
		want Stats
	}{
		{"dump", append(head[:8:8], 8, 0, 0, 0, 0x0a, 6, 0x08, 5, 0x28, 0x80, 0x01, 0x38), nil}, // the last field is cut
		{"whole dump", append(head[:8:8], 8, 0, 0, 0, 0x0a, 6, 0x08, 5, 0x28, 7, 0x38, 9), Stats{"freezing_time": 5, "pages_scanned": 7, "pages_written": 9}},
		{"restore", append(head[:8:8], 4, 0, 0, 0, 0x12, 2, 0x20, 3), Stats{"restore_time": 3}},
		{"cut", append(head[:8:8], 200, 0, 0, 0, 0x12), nil},
		{"empty", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "stats")
			if err := os.WriteFile(path, tt.data, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := ReadStats(path)
			if (err != nil) != (tt.want == nil) || tt.want != nil && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}
