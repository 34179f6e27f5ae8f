package checkpoint

import (
	"encoding/binary"
	"fmt"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
)

// Stats are numbers of CRIU's own, by its names: times in microseconds, pages.
type Stats map[string]uint64

// maxStats bounds a file of statistics.
const maxStats = 1 << 16

// dumpNames and restoreNames are the fields of CRIU's messages (stats.proto).
func dumpNames() map[protowire.Number]string {
	return map[protowire.Number]string{
		1: "freezing_time", 2: "frozen_time", 3: "memdump_time", 4: "memwrite_time", 5: "pages_scanned", 7: "pages_written",
	}
}

func restoreNames() map[protowire.Number]string {
	return map[protowire.Number]string{1: "pages_compared", 2: "pages_skipped_cow", 3: "forking_time", 4: "restore_time", 5: "pages_restored"}
}

// ReadStats reads stats-dump or stats-restore: two magic numbers, a size, and a
// message that holds one message.
func ReadStats(path string) (Stats, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read CRIU's statistics: %w", err)
	}
	const header = 12
	if len(data) < header || len(data) > maxStats {
		return nil, fmt.Errorf("read CRIU's statistics: %s has %d bytes", path, len(data))
	}
	size := binary.LittleEndian.Uint32(data[8:header])
	if int(size) > len(data)-header {
		return nil, fmt.Errorf("read CRIU's statistics: %s is cut short", path)
	}
	out := Stats{}
	err = fields(data[header:header+int(size)], func(number protowire.Number, _ uint64, inner []byte) error {
		names := dumpNames()
		if number == 2 {
			names = restoreNames()
		}
		return fields(inner, func(number protowire.Number, value uint64, _ []byte) error {
			if name := names[number]; name != "" {
				out[name] = value
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read CRIU's statistics: %w", err)
	}
	return out, nil
}

// fields calls f for each number and each message in a message.
func fields(data []byte, f func(protowire.Number, uint64, []byte) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var value uint64
		var inner []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			inner, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := f(number, value, inner); err != nil {
			return err
		}
	}
	return nil
}
