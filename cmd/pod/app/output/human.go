package output

import (
	"strings"
	"time"

	units "github.com/docker/go-units"
)

// Size is a size in decimal units, three digits, as images shows it: 7.5 MB.
func Size(bytes int64) string {
	s := units.HumanSizeWithPrecision(float64(bytes), 3)
	i := strings.LastIndexAny(s, "0123456789") + 1
	return s[:i] + " " + s[i:]
}

// SizeShort is a size in decimal units without a space, as ps --size and
// system df show it: 7.497MB.
func SizeShort(bytes int64) string {
	return units.HumanSize(float64(bytes))
}

// SizeBinary is a size in binary units: 64MiB.
func SizeBinary(bytes int64) string {
	return units.BytesSize(float64(bytes))
}

// Duration is a rough duration in words: 3 seconds, About a minute.
func Duration(d time.Duration) string {
	return units.HumanDuration(max(d, 0))
}

// Ago says how long ago t was: 2 minutes ago. The zero time is N/A.
func Ago(t time.Time) string {
	if t.IsZero() {
		return "N/A"
	}
	return Duration(time.Since(t)) + " ago"
}

// ShortID is the first twelve digits of an id, without its algorithm.
func ShortID(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	if len(id) > 12 {
		return id[:12]
	}
	return id
}
