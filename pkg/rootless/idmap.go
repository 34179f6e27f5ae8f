package rootless

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// readMap reads an id map of /proc.
func readMap(path string) ([]Mapping, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read id map: %w", err)
	}
	maps, err := parseMap(b)
	if err != nil {
		return nil, fmt.Errorf("read id map %s: %w", path, err)
	}
	return maps, nil
}

func parseMap(b []byte) ([]Mapping, error) {
	var maps []Mapping
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("line %q has not three numbers", line)
		}
		var n [3]int
		for i := range f {
			v, err := strconv.ParseUint(string(f[i]), 10, 32)
			if err != nil {
				return nil, fmt.Errorf("line %q: %w", line, err)
			}
			n[i] = int(v)
		}
		maps = append(maps, Mapping{n[0], n[1], n[2]})
	}
	return maps, nil
}

// total is the number of ids in a map.
func total(maps []Mapping) int {
	sum := 0
	for _, m := range maps {
		sum += m.Size
	}
	return sum
}

// stack lays ranges of host ids one after another behind the user's own id,
// which becomes 0.
func stack(own int, ranges []idRange) []Mapping {
	maps := []Mapping{{0, own, 1}}
	next := 1
	for _, r := range ranges {
		maps = append(maps, Mapping{next, r.start, r.count})
		next += r.count
	}
	return maps
}

// mapArgs is a map as newuidmap and newgidmap take it.
func mapArgs(maps []Mapping) []string {
	var args []string
	for _, m := range maps {
		args = append(args, strconv.Itoa(m.ContainerID), strconv.Itoa(m.HostID), strconv.Itoa(m.Size))
	}
	return args
}

// mapText is a map as the kernel takes it.
func mapText(maps []Mapping) string {
	var b bytes.Buffer
	for _, m := range maps {
		fmt.Fprintf(&b, "%d %d %d\n", m.ContainerID, m.HostID, m.Size)
	}
	return b.String()
}
