package decompress

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestStream(t *testing.T) {
	t.Parallel()
	const text = "what an archive holds"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
		t.Fatal("cannot compress")
	}
	for _, tt := range []struct {
		name, in   string
		compressed bool
	}{{"plain", text, false}, {"gzip", packed.String(), true}, {"empty", "", false}} {
		plain, compressed, err := Stream(tt.name, strings.NewReader(tt.in))
		if err != nil || compressed != tt.compressed {
			t.Fatalf("%s: compressed %v, %v", tt.name, compressed, err)
		}
		got, err := io.ReadAll(plain)
		if err != nil || tt.in != "" && string(got) != text || plain.Close() != nil {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

func TestBomb(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		read, grown int64
		bomb        bool
	}{
		{"small, whatever its ratio", 1, bombSize - 8, false},
		{"large and honest", bombSize/bombRatio + 1, bombSize, false},
		{"bomb", bombSize/bombRatio - 1, bombSize, true},
		{"bomb of nothing", 0, bombSize, true},
	} {
		b := &bounded{ReadCloser: io.NopCloser(strings.NewReader("12345678")), name: "x.tar", from: &counter{}, n: tt.grown}
		b.from.n.Store(tt.read)
		_, err := io.ReadAll(b)
		var bomb *BombError
		if errors.As(err, &bomb) != tt.bomb || tt.bomb && !strings.HasPrefix(err.Error(), "x.tar: a decompression bomb: ") || !tt.bomb && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
