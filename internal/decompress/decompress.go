// Package decompress reads archives that may be compressed, and no further than what an
// honest one comes to. What an archive holds is for its reader to judge.
package decompress

import (
	"fmt"
	"io"
	"sync/atomic"

	"go.podman.io/image/v5/pkg/compression"
)

const (
	// An archive that grows beyond bombSize and by more than bombRatio is taken for
	// a bomb; gzip reaches 1032.
	bombSize  = 1 << 30
	bombRatio = 200
	// Small is the size below which no archive becomes a bomb.
	Small = bombSize / 1032
)

// BombError says that an archive grows to more than an honest one comes to.
type BombError struct {
	// Name is the archive, as the user gave it.
	Name string
	// Read bytes have become more than Grown.
	Read, Grown int64
}

func (e *BombError) Error() string {
	return fmt.Sprintf("%s: a decompression bomb: %d bytes have become more than %d GiB: if you trust it, decompress it yourself", e.Name, e.Read, e.Grown>>30)
}

// Stream reads what r is, and if that is compressed what becomes of it, until it is
// a bomb: name is for that error.
func Stream(name string, r io.Reader) (plain io.ReadCloser, compressed bool, err error) {
	from := &counter{r: r}
	stream, compressed, err := compression.AutoDecompress(from)
	if err != nil {
		return nil, false, err
	}
	return &bounded{ReadCloser: stream, name: name, from: from}, compressed, nil
}

// counter says how much was read of a stream, to others than who reads it: gzip is
// read ahead by a goroutine of its own.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// bounded is a decompressed stream that ends when it has become a bomb.
type bounded struct {
	io.ReadCloser
	name string
	from *counter
	n    int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if b.n <= bombSize {
		return n, err
	}
	if read := b.from.n.Load(); b.n > bombRatio*max(read, 1) {
		return 0, &BombError{Name: b.name, Read: read, Grown: b.n}
	}
	return n, err
}
