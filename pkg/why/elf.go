package why

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

// Of elf(5), for files of 64 bits in the byte order of nearly all machines.
const (
	elfHeader   = 64
	elfProgram  = 56
	elfMaxParts = 64
	elfInterp   = 3
)

// dynamicLinker is the name in the program header PT_INTERP. debug/elf is not
// meant for hostile files; this reads what it needs and no more.
func dynamicLinker(in io.ReaderAt, head []byte) string {
	if len(head) < elfHeader || !bytes.HasPrefix(head, []byte{0x7f, 'E', 'L', 'F', 2, 1}) {
		return ""
	}
	order := binary.LittleEndian
	offset, size, count := order.Uint64(head[32:]), order.Uint16(head[54:]), order.Uint16(head[56:])
	if size != elfProgram || count > elfMaxParts || offset > 1<<40 {
		return ""
	}
	part := make([]byte, elfProgram)
	for i := range uint64(count) {
		if _, err := in.ReadAt(part, int64(offset+i*elfProgram)); err != nil {
			return ""
		}
		if order.Uint32(part) != elfInterp {
			continue
		}
		at, length := order.Uint64(part[8:]), order.Uint64(part[32:])
		if at > 1<<40 || length > 4096 {
			return ""
		}
		name := make([]byte, length)
		if _, err := in.ReadAt(name, int64(at)); err != nil {
			return ""
		}
		text := strings.TrimRight(string(name), "\x00")
		if strings.HasPrefix(text, "/") && !strings.Contains(text, "\x00") {
			return text
		}
		return ""
	}
	return ""
}
