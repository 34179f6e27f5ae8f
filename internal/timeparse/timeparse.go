// Package timeparse reads the times of --since, --until and until= filters.
package timeparse

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Parse reads a moment: RFC 3339, a date with or without a time (in the local
// zone), seconds since 1970 with or without a fraction, or a duration: "10m" is
// ten minutes before now.
func Parse(s string, now time.Time) (time.Time, error) { return parse(s, now, -1) }

// ParseUntil is Parse for the --until of events and logs, where "10m" is ten
// minutes after now.
func ParseUntil(s string, now time.Time) (time.Time, error) { return parse(s, now, 1) }

func parse(s string, now time.Time, sign time.Duration) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{
		"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02",
		"2006-01-02 15:04:05.999999999", "2006-01-02 15:04",
		"2006-01-02 15:04:05.999999999 -0700 MST", // what events prints
	} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	if t, ok := unix(s); ok {
		return t, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("unable to interpret time value %q: give RFC 3339, a date, seconds since 1970 or a duration such as 10m", s)
	}
	return now.Add(sign * d), nil
}

// unix reads seconds since 1970. The fraction is read as digits: a float has
// too few of them for nanoseconds.
func unix(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds > math.MaxInt64/int64(time.Second) || len(fraction) > 9 {
		return time.Time{}, false
	}
	var nano int64
	if fraction != "" {
		n, err := strconv.ParseUint(fraction+strings.Repeat("0", 9-len(fraction)), 10, 32)
		if err != nil {
			return time.Time{}, false
		}
		nano = int64(n)
	}
	return time.Unix(seconds, nano), true
}

// Span reads a length of time as filters and the configuration have it: a Go
// duration that may begin with weeks and days, as in 30d, 2w or 1d12h.
func Span(s string) (time.Duration, error) {
	rest, total := s, time.Duration(0)
	for _, unit := range []struct {
		mark string
		long time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, after, ok := strings.Cut(rest, unit.mark)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, spanError(s)
		}
		total, rest = total+time.Duration(n)*unit.long, after //nolint:gosec // 16 bits
	}
	if rest == "" && s != "" {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, spanError(s)
	}
	return total + d, nil
}

func spanError(s string) error {
	return fmt.Errorf("%q is no length of time: write a number and a unit, as in 30d, 2w, 12h or 1d12h", s)
}
